"""Jobs on other machines: submitted, waited for, watched.

Imports base to provenance. Tests: tests/stemma/cluster/ and, on a real Slurm, tests/cluster/.
"""
