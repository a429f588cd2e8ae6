"""Services of other application entities that we use."""
