"""Compiled inner loops: numba for the CPU, and CUDA through CuPy beside its CPU twin.

llm/ calls them; they import nothing of ours. Tests: tests/kernels/.
"""
