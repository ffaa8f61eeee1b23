"""Domain records: frozen values without I/O, shared by the engine and the stores below it."""
