"""Rows of series, instances, runs and deliveries inside the caller's transaction."""
