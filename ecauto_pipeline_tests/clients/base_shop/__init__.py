"""Tests of clients.base_shop."""
