"""A small HTTP/1.1 server for fronts: strict parsing, serial keep-alive, streaming, and handing a connection away."""
