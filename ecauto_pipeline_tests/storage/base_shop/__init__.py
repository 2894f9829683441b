"""Tests of storage.base_shop."""
