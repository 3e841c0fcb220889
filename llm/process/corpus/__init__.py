"""Makes the corpus: clean shards of every source, and the sampling plan that mixes their domains.

scripts/process/ calls it. Tests: tests/llm/process/corpus/.
"""
