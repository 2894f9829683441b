"""Shops of any marketplace: what happens, in what order."""
