"""Stage 7: packages a model as a Hugging Face directory, with adapters merged and every matrix counted.

scripts/package/ calls it, and llm/deploy reads models through it. Tests: tests/llm/package/.
"""
