"""BASE: what happens, in what order."""
