"""Tar archives: the one reader of them, the one writer, and the bounds on both."""
