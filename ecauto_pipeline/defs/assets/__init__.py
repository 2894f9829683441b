"""The asset graph: one module a marketplace, a few lines an asset."""
