"""Between wire types and domain records. Pure functions; time is an argument."""
