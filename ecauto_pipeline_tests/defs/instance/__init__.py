"""Tests of defs.instance."""
