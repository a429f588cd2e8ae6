"""Volumes, planes and plots for the viewer."""
