"""The flows: read, decide, write. Nothing here knows Dagster."""
