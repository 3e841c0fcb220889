"""The whole configuration: which block holds which keys, and what is derived from that. For rules and for people: the
Snakefile imports it, no script reaches it. Tests: tests/llm/config."""
