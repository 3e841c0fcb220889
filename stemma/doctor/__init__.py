"""Examines the machine, its software and its disks for what stands in the way of a build, and says what to do.

Imports base to cluster. Tests: tests/stemma/doctor/.
"""
