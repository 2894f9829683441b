"""Tests of storage.shopify."""
