"""Where artifacts are kept and how they get to their places: objects, the shared store, results/.

Imports base. Tests: tests/stemma/store/.
"""
