"""Names on user-defined networks: what answers at 127.0.0.11 of every container on one.

`message`, `zones`, `decision` and `exchange` do no I/O. `helper` is a process of its own that runs them, and imports
nothing but them and `linux`; `service` is the daemon's hand on it.
"""
