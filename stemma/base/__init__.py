"""The foundation of every room of the engine: digests, atomic file operations, untrusted files, errors, settings.

Any room may import it; it imports none. Tests: tests/stemma/base/.
"""
