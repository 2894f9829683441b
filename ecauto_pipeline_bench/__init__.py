"""Measurements: scripts that print ratios beside the goals they are to reach."""
