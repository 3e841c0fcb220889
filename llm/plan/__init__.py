"""Plans stage 4 on paper: memory, time and cost of a training run of any size, from formulas, without torch.

scripts/architecture/ calls it. Tests: tests/llm/plan/.
"""
