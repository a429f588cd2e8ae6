"""Data sets in, data sets out: no disk, no socket."""
