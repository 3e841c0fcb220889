"""Stage 8: quantize and serve.

scripts/deploy/ calls it. Tests: tests/llm/deploy/.
"""
