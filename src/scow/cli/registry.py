"""Command names to modules. A module is imported only when its command is called."""

from __future__ import annotations

# Everything that can be said without a group; the values are modules of this package.
COMMANDS = {
    "attach": "attach",
    "create": "create",
    "daemon": "daemon",
    "diff": "diff",
    "events": "events",
    "exec": "execute",
    "history": "history",
    "images": "images",
    "info": "info",
    "inspect": "inspect",
    "kill": "kill",
    "load": "load",
    "login": "login",
    "logout": "logout",
    "logs": "logs",
    "pause": "pause",
    "port": "port",
    "ps": "ps",
    "pull": "pull",
    "push": "push",
    "rename": "rename",
    "restart": "restart",
    "rm": "rm",
    "rmi": "rmi",
    "run": "run",
    "save": "save",
    "start": "start",
    "stop": "stop",
    "tag": "tag",
    "top": "top",
    "unpause": "unpause",
    "version": "version",
    "wait": "wait",
}

GROUPS = {
    "container": {
        "attach": "attach",
        "create": "create",
        "diff": "diff",
        "exec": "execute",
        "inspect": "container_inspect",
        "kill": "kill",
        "list": "ps",
        "logs": "logs",
        "ls": "ps",
        "pause": "pause",
        "port": "port",
        "prune": "container_prune",
        "ps": "ps",
        "remove": "rm",
        "rename": "rename",
        "restart": "restart",
        "rm": "rm",
        "run": "run",
        "start": "start",
        "stop": "stop",
        "top": "top",
        "unpause": "unpause",
        "wait": "wait",
    },
    "image": {
        "bootstrap": "image_bootstrap",
        "history": "history",
        "inspect": "image_inspect",
        "list": "images",
        "load": "load",
        "ls": "images",
        "prune": "image_prune",
        "pull": "pull",
        "push": "push",
        "remove": "rmi",
        "rm": "rmi",
        "save": "save",
        "tag": "tag",
    },
    "network": {"inspect": "network_inspect", "list": "network_ls", "ls": "network_ls"},
    "system": {"df": "system_df", "events": "events", "info": "info", "prune": "system_prune"},
    "volume": {
        "create": "volume_create",
        "inspect": "volume_inspect",
        "list": "volume_ls",
        "ls": "volume_ls",
        "prune": "volume_prune",
        "remove": "volume_rm",
        "rm": "volume_rm",
    },
}

# Known to Docker's users and not there yet: refused by name.
UNSUPPORTED = frozenset(
    "build builder buildx checkpoint commit compose config context cp export import manifest node plugin "
    "search secret service stack stats swarm trust update".split()
)
UNSUPPORTED_IN_GROUP = {
    "container": frozenset("commit cp export stats update".split()),
    "image": frozenset("build import".split()),
    "network": frozenset("connect create disconnect prune remove rm".split()),
    "system": frozenset(("dial-stdio",)),
    "volume": frozenset(("update",)),
}

GROUP_SUMMARIES = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "system": "Manage the engine",
    "volume": "Manage volumes",
}
