"""Describes a run as a Provenance Run Crate, derived from its records.

stemma/commands/crate.py calls it. Tests: tests/stemma/provenance/crate/.
"""
