"""Stage 6: derives instructions and preferences, and aligns a model with them by LoRA adapters.

scripts/align/ calls it. Tests: tests/llm/align/.
"""
