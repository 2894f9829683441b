"""Tests of sync.uploads."""
