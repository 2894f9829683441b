"""Processes beside Dagster's: the upload worker, the receiver of webhooks."""
