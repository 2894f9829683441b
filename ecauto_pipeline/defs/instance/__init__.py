"""What belongs to the Dagster instance: its storage, its loggers, its lost runs."""
