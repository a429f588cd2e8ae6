"""Measurements, run by hand: each prints a table and needs a quiet machine."""
