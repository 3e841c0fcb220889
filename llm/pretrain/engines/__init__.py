"""Training engines: one process, DDP, FSDP2 and megatron-core behind one interface (llm/pretrain/engine.py).

llm/pretrain/worker.py builds one; the Snakefile and the planner read layout.py. Tests: tests/llm/pretrain/engines/.
"""
