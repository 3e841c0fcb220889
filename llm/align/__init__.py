"""Stage 6: instructions, preferences, and the losses that align a model with them, by LoRA adapters.

scripts/align/ calls it. Tests: tests/llm/align/.
"""
