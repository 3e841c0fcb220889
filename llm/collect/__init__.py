"""Stage 1: fetch pinned sources, open their archives, and turn every format into raw documents.

scripts/collect/ calls it, and llm/process reads archives through it. Tests: tests/llm/collect/.
"""
