"""Tests of sandbox.base_shop."""
