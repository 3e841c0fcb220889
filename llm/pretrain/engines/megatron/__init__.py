"""The engine on megatron-core: tensor, pipeline, context, sequence and data parallelism.

llm/pretrain/engines/build.py is its one caller. Tests: tests/llm/pretrain/engines/megatron/.
"""
