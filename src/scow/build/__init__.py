"""Images from Dockerfiles: a frontend, a graph of steps, a solver, the operations of the steps, the export."""
