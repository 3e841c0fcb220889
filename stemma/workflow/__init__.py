"""Connects Snakemake and the engine: reads a workflow, gives its rules their keys, reports on the terminal.

The Snakefile calls attach.py. Imports base to cluster. Tests: tests/stemma/workflow/.
"""
