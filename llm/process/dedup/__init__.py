"""Finds duplicates and contamination: candidate pairs by LSH, clusters, repeated passages, evaluation items.

scripts/process/ calls it. Tests: tests/llm/process/dedup/.
"""
