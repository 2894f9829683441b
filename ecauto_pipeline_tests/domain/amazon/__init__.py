"""Tests of domain.amazon."""
