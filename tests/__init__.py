"""Everything that proves the node."""
