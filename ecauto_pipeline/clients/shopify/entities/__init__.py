"""What is mirrored of a store, an entity a module: where Shopify has each column of ours."""
