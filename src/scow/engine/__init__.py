"""The use cases: what a client can ask, one module per verb, over the contracts of ports.py. Knows no wire format."""
