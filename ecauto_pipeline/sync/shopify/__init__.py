"""Shopify: what happens, in what order."""
