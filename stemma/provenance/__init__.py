"""Records what was done: signed records, whom to trust, and the questions that records answer.

Imports base to planning. Tests: tests/stemma/provenance/.
"""
