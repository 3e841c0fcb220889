"""Keeps artifacts and puts them in place: the content-addressed store, the shared store, results/.

Imports base. Tests: tests/stemma/store/.
"""
