"""What was: signed records, whom to trust, and the questions that they answer.

Imports base to planning. Tests: tests/stemma/provenance/.
"""
