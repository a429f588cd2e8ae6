"""Runs, deliveries, decisions and leases: what the worker and people write."""
