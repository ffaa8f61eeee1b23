"""Engine API client of the CLI: standard library only, and of that only what costs next to nothing to import."""
