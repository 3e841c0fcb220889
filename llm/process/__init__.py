"""Stage 2: what is known of every document, which of them stay, and in which order they are read.

scripts/process/ calls it. Its rooms are quality, dedup, pii and corpus; corpus brings the others together. Tests:
tests/llm/process/.
"""
