"""Tests of storage.screening."""
