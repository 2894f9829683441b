"""Screening: what is stored."""
