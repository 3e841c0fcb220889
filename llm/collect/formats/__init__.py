"""A module for each format of source: members of an archive in, documents out.

llm/collect/extract.py alone chooses among them. Tests: tests/llm/collect/formats/.
"""
