"""Personal data: where it stands in a text, and how it is replaced.

scripts/process/ and llm/process/corpus call it. Tests: tests/llm/process/pii/.
"""
