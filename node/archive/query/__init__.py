"""What peers may find, fetch and have committed, and what the pages read."""
