"""Tests of storage.v1."""
