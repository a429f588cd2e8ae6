"""Accounts, credentials and the audit trail."""
