"""Stage 2: measures every document, chooses which of them stay, and plans the order in which they are read.

scripts/process/ calls it. Its rooms are quality, dedup, pii and corpus; corpus brings the others together. Tests:
tests/llm/process/.
"""
