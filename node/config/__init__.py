"""Settings: from file and environment, checked, frozen."""
