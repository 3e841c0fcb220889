"""Plans what should be: the jobs that a workflow wants, and the expected keys of their results. Nothing is executed.

Imports base, code and store. Tests: tests/stemma/planning/.
"""
