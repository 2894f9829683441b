"""Amazon: records and decisions."""
