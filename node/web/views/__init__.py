"""What a page says about rows: pure, in every language."""
