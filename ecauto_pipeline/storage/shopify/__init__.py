"""Shopify: what is stored."""
