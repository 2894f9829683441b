"""Shopify: records and decisions."""
