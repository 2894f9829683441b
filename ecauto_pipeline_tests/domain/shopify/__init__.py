"""Tests of domain.shopify."""
