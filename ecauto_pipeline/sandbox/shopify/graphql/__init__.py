"""Shopify's GraphQL Admin API on loopback."""
