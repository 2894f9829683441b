"""Uploads: what is stored."""
