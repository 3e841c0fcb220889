"""Stage 6, judged: what a model has learned and lost, by loss, preferences, format, refusals and tasks, with errors.

scripts/evaluate/ calls it. Tests: tests/llm/evaluate/.
"""
