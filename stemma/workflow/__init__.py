"""The seam to Snakemake: reads a workflow, gives its rules their keys, says on the terminal what goes on.

The Snakefile calls attach.py. Imports base to cluster. Tests: tests/stemma/workflow/.
"""
