"""Training engines behind one interface (llm/training/engine.py): one process, DDP, FSDP2.

build.py chooses one; the Snakefile and the planner read layout.py. Tests: tests/llm/training/engines/.
"""
