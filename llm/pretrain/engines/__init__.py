"""Chooses pretraining's engine: one of llm/training/engines, or megatron-core's, which trains this objective alone.

llm/pretrain/worker.py builds one. Tests: tests/llm/pretrain/engines/.
"""
