"""Records and decisions: pure, without I/O."""
