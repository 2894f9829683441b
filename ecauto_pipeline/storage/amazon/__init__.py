"""Amazon: what is stored."""
