"""The daemon: configuration, wiring of the parts, signals."""
