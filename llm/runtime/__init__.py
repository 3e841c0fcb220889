"""What a training process needs from the machine: its device, ranks and nodes, leases, signals, watchdogs.

llm/pretrain and llm/align call it, llm/collect its processes. It imports llm/errors.py and itself.
Tests: tests/llm/runtime/.
"""
