"""What can be done with containers, one verb a module."""
