"""Shopify on loopback."""
