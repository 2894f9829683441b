"""Tests of domain.base_shop."""
