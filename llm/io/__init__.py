"""Reads and writes what several stages share: parquet shards, hard-linked trees, text as bytes, JSON, digests.

Any room of llm/ may import it; it imports none of them. Tests: tests/llm/io/.
"""
