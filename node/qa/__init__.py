"""Checks of an sCT that do not trust what made it: MR, written HU and the site's own curve."""
