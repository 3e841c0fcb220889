"""What the scripts of every stage are made of: a room for each stage and four that stages share (io, model, runtime,
and the modules here).

May be imported by scripts/ alone, and by rules/ where a module imports no torch. It imports kernels/, never stemma/.
Tests: tests/llm/.
"""
