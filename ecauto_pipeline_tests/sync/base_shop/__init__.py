"""Tests of sync.base_shop."""
