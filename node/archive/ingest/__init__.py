"""From bytes to file and row: receiver, journal, recovery."""
