"""Acceptance checks, a file for each theme."""
