"""Tests of domain.shops."""
