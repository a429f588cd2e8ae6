"""A real node, killed and started again."""
