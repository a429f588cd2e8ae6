"""Peers, routes and models as they are now, and who changed them."""
