"""Every setting, and what keeps the secret ones out of text."""
