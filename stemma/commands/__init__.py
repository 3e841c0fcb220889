"""The commands of `python -m stemma COMMAND`: a module each, with its options and what it prints.

Imports every room; none imports it. Tests: with the room that does the work.
"""
