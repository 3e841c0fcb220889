"""Finds personal data in text, and replaces it.

scripts/process/ and llm/process/corpus call it. Tests: tests/llm/process/pii/.
"""
