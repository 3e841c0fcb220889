"""Imports a model that was made elsewhere into a model directory of this project's form.

scripts/package/import_model.py calls it. Tests: tests/llm/package/importing/.
"""
