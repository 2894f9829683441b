"""Tests of sync.shopify."""
