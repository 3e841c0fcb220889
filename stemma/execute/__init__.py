"""One job: inputs verified, a hit served or the script run where it sees what is declared, the result recorded.

Imports base to provenance. Tests: tests/stemma/execute/.
"""
