"""Starts tasks through the zygote, talks to their monitors, and finds those that an earlier daemon left."""
