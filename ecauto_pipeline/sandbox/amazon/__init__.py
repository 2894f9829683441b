"""Amazon on loopback."""
