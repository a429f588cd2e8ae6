"""One module for each command of ``pctnode``: its arguments, and what it calls."""
