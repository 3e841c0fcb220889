"""Stage 5: segments of training that survive kills and resume to the bit, with their data, schedule and checkpoints.

scripts/pretrain/ calls it. Tests: tests/llm/pretrain/.
"""
