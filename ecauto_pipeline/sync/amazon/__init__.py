"""Amazon: what happens, in what order."""
