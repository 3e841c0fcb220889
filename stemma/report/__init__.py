"""A run's page and account, filled from records.

Imports base to provenance. Tests: tests/stemma/report/.
"""
