"""Tests of sync.amazon."""
