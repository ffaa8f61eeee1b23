"""Starter images out of the distribution's own signed packages: one module an image."""
