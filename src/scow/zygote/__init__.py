"""One warm process that forks the monitors, so that the daemon never forks and no monitor starts cold."""
