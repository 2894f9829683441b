"""Tests of what speaks to the marketplaces."""
