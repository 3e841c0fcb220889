"""Stage 5: trains in segments that survive kills and resume to the bit, with data, schedule and checkpoints.

scripts/pretrain/ calls it. Tests: tests/llm/pretrain/.
"""
