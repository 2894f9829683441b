"""Dagster's words: the graph, and all that launches it."""
