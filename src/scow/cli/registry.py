"""Command names to modules. A module is imported only when its command is called."""

from __future__ import annotations

# Everything that can be said without a group; the values are modules of this package.
COMMANDS = {
    "attach": "attach",
    "commit": "commit",
    "create": "create",
    "daemon": "daemon",
    "diff": "diff",
    "events": "events",
    "exec": "execute",
    "export": "export",
    "history": "history",
    "images": "images",
    "import": "import_image",
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
        "commit": "commit",
        "create": "create",
        "diff": "diff",
        "exec": "execute",
        "export": "export",
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
        "import": "import_image",
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
    "system": {"check": "system_check", "df": "system_df", "events": "events", "info": "info", "prune": "system_prune"},
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
    "build builder buildx checkpoint compose config context cp manifest node plugin "
    "search secret service stack stats swarm trust update".split()
)
UNSUPPORTED_IN_GROUP = {
    "container": frozenset("cp stats update".split()),
    "image": frozenset(("build",)),
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
