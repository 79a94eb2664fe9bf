"""Measurements of what has to be fast: ``make bench`` writes RESULTS.md."""
