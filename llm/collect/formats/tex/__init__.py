"""LaTeX read in one pass: macros expanded, prose and formulas kept, what steers the page gone.

llm/collect/formats/latex.py is its one caller. Tests: tests/llm/collect/formats/test_latex.py.
"""
