"""What every room of the engine stands on: digests, files in one step, errors, settings.

Any room may import it; it imports none. Tests: tests/stemma/base/.
"""
