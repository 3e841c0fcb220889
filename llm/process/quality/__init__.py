"""Signals of documents and models that judge them: heuristics, language, perplexity, classifiers, and the thresholds
on these.

scripts/process/ and llm/process/corpus call it. Tests: tests/llm/process/quality/.
"""
