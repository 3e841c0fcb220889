"""Executes one job: verifies inputs, serves a cache hit or runs the script in a sandbox, records the result.

Imports base to provenance. Tests: tests/stemma/execute/.
"""
