"""The language of Dockerfiles: text to typed commands. Pure: no file, no network, no clock."""
