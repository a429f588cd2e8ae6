"""Sentences of the pages and of the database, and their translations."""
