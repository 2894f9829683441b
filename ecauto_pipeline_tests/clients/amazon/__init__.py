"""Tests of clients.amazon."""
