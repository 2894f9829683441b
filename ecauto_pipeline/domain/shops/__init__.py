"""Shops of any marketplace: records and decisions."""
