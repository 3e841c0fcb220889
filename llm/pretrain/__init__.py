"""Stage 5: next-token prediction on token shards in segments; the training itself is llm/training's.

scripts/pretrain/ calls it. Tests: tests/llm/pretrain/.
"""
