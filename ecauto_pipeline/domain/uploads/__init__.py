"""Uploads: records and decisions."""
