"""One module for each page: its ``router``, found by being here, and its ``PLACES``."""
