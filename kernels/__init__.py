"""Inner loops, compiled: numba for the CPU, CUDA through CuPy beside its CPU twin.

llm/ calls them; they import nothing of ours. Tests: tests/kernels/.
"""
