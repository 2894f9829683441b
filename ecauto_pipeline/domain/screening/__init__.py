"""Screening: records and decisions."""
