"""Tests of the layouts: where Shopify has our columns."""
