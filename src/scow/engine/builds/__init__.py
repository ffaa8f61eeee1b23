"""Use cases of the builder."""
