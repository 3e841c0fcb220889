"""Quantizes weights to fewer bits, packed as other tools load them.

scripts/deploy/quantize.py calls it. Tests: tests/llm/deploy/quantize/.
"""
