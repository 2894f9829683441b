"""The marketplaces on loopback: one HTTP server that speaks their wire formats."""
