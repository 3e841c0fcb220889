"""`python -m stemma COMMAND`: a module for each command, with its options and what it prints.

Imports every room; none imports it. Tests: with the room that does the work.
"""
