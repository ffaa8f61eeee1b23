"""What can be done with images, one verb a module."""
