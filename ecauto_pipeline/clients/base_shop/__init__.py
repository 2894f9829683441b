"""BASE: what is sent and received."""
