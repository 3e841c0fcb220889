"""Submits jobs to other machines, waits for them, and reports what they do.

Imports base to provenance. Tests: tests/stemma/cluster/ and, on a real Slurm, tests/cluster/.
"""
