"""Tests of sync.shops."""
