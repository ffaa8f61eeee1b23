"""The parts of the OCI runtime specification that scow writes and reads: https://github.com/opencontainers/runtime-spec.

A spec is plain JSON-shaped data (`config.json`), so that the process side needs no codec but `json`.
"""

from typing import Any

Spec = dict[str, Any]
"""A whole runtime-spec document (ociVersion, process, root, hostname, mounts, linux, …)."""

Process = dict[str, Any]
"""The `process` object of a spec: terminal, user, args, env, cwd, capabilities, rlimits, noNewPrivileges, oomScoreAdj."""

Mount = dict[str, Any]
"""A mount of a spec: destination, type, source, options (mount(8) words)."""
