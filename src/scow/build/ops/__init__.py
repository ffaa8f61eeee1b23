"""What the steps of a build do."""
