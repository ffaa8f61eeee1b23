"""One process per container: parent of its init and execs; owns stdio, terminal, log and exit record."""
