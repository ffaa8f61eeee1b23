"""The `scow` command: one file per command, a table-driven flag parser, formatting, exit codes."""
