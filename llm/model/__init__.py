"""Stage 4, shared with all later stages: the architecture, its config.json, the transformer, names of its tensors.

Any later room may import it; it imports none of them. Tests: tests/llm/model/.
"""
