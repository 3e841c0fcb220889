"""Generates text, and load-tests that.

scripts/deploy/ calls it. Tests: tests/llm/deploy/serve/.
"""
