"""Uploads: what happens, in what order."""
