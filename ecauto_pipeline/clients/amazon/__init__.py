"""Amazon: what is sent and received."""
