"""Tests of storage.shops."""
