"""Stage 7: a model as a Hugging Face directory, adapters merged, every matrix counted.

scripts/package/ calls it, and llm/deploy reads models through it. Tests: tests/llm/package/.
"""
