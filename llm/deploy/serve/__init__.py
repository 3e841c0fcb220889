"""Serves models over HTTP by llm/inference/'s engine, and load-tests that engine.

scripts/deploy/ calls benchmark.py; `make serve` starts server.py. Tests: tests/llm/deploy/serve/.
"""
