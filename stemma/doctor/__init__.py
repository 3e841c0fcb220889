"""What of the machine, its software and its disks stands in the way of a build, and what to do about each.

Imports base to cluster. Tests: tests/stemma/doctor/.
"""
