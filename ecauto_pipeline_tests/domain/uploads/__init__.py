"""Tests of domain.uploads."""
