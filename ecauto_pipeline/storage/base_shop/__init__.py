"""BASE: what is stored."""
