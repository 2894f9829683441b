"""Shops of any marketplace: what the database keeps of them."""
