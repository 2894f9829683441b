"""Tests of storage.amazon."""
