"""What should be: the jobs that a workflow wants, and the keys that their results are expected under.

Imports base, code and store. Executes nothing. Tests: tests/stemma/planning/.
"""
