"""Tests of clients.shopify."""
