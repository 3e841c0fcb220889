"""What each script of stage 6 is told, a module for each: an edit here makes the scripts stale that read it, no others.
The rules and llm/config/ import these too; no torch. Tests: tests/llm/config, tests/llm/align."""
