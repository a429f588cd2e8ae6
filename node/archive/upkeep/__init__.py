"""Retention, backup, verification and proofs of the data folder."""
