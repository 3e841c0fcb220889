"""Measures the quality of documents: heuristic signals, language, perplexity, classifiers, and the thresholds on these.

scripts/process/ and llm/process/corpus call it. Tests: tests/llm/process/quality/.
"""
