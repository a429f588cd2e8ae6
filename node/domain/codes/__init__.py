"""The tables of finding codes, a file for each theme."""
