"""Stage 8: quantizes models and serves them.

scripts/deploy/ calls it. Tests: tests/llm/deploy/.
"""
