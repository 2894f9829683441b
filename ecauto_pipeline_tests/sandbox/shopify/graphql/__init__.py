"""Tests of sandbox.shopify.graphql."""
