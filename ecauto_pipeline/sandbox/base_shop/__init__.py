"""BASE on loopback."""
