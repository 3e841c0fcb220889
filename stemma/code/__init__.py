"""Determines what a script's result depends on in code: its closure of modules, data files and distributions.

Imports base. Tests: tests/stemma/code/.
"""
