"""Files and buffers that several stages read and write: parquet shards, hard-linked trees, text as bytes.

Any room of llm/ may import it; it imports none of them. Tests: tests/llm/io/.
"""
