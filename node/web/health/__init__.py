"""Liveness, readiness and metrics, for programs."""
