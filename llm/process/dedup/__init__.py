"""Duplicates and contamination: signatures to candidate pairs, pairs to clusters, repeated passages, evaluation items.

scripts/process/ calls it. Tests: tests/llm/process/dedup/.
"""
