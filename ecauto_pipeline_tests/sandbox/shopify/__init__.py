"""Tests of sandbox.shopify."""
