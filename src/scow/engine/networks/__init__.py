"""Networks: the use cases."""
