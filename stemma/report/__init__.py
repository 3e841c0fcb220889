"""Renders a run's HTML page and its summary in the terminal, from records.

Imports base to provenance. Tests: tests/stemma/report/.
"""
