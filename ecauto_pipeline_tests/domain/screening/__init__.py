"""Tests of domain.screening."""
