"""Version 1.0: what is stored."""
