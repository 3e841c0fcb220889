"""Trains for two stages, so that a run survives kills and resumes to the bit: engines, guards, recovery points.

It knows no loss and no data: llm/pretrain and llm/align give it an Objective and a Stream. Tests: tests/llm/training/.
"""
