"""BASE: records and decisions."""
