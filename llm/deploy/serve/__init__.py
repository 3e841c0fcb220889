"""Generation, and a load test of it.

scripts/deploy/ calls it. Tests: tests/llm/deploy/serve/.
"""
