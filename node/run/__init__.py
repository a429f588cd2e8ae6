"""Builds objects from settings and runs them: application, processes, diagnostics."""
