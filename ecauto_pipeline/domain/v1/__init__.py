"""Version 1.0: records and decisions."""
