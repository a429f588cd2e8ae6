"""MR series made by code, whole and broken."""
