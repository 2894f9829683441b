"""Shopify: what is sent and received."""
