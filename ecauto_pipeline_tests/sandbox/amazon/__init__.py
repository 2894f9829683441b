"""Tests of sandbox.amazon."""
