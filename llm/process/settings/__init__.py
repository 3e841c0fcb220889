"""What each script of stage 2 is told, a module for each: an edit here makes the scripts stale that read it, no others.
The rules and llm/config/ import these too. Tests: tests/llm/config, tests/llm/process."""
