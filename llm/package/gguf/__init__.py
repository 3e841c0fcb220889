"""Reads and writes GGUF, llama.cpp's file format: one file with the architecture, the tokenizer and the weights.

llm/package/importing reads, scripts/package/export_gguf.py writes. Tests: tests/llm/package/gguf/.
"""
