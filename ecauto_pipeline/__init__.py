"""Keeps BASE shops in step with Amazon Japan, as one Dagster code location."""
