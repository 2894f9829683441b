"""The `ecauto` command, and what it reports."""
