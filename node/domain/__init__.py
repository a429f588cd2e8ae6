"""Pure rules of the node: standard library and numpy only."""
