"""Tests of the tables and of what is kept in them."""
