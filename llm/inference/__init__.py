"""Generates text for everyone who needs some: rollouts, evaluation, the server. Requests go in, completions come out,
and a request's log-probabilities are the same bytes alone, in any batch, chunked, after a prefix hit or a preemption,
and in training (docs/inference.md).

llm/deploy, llm/align and evaluation import it. Tests: tests/llm/inference/.
"""
