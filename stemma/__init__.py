"""The build engine: keys, store, records, execution, reports. It knows nothing of language models.

Rooms from the ground up: base, code, store, planning, provenance, execute, cluster, workflow, report, commands; each
imports those before it alone. The Snakefile calls workflow, people call commands. Tests: tests/stemma/.
"""
