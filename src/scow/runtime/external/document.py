"""The runtime-spec document for another runtime: what only scow's own understands is said in the specification's words."""

import os
from collections.abc import Mapping
from typing import Any

from scow.errors import InvalidArgument
from scow.linux import capabilities, users
from scow.oci.runtime import Process, Spec
from scow.runtime.job import explicit_limits
from scow.runtime.limits import lowered

OURS = "org.scow."
_VERSION = "1.0.2"  # all that is used is in it, and older runtimes refuse a later one
_DOMAIN = "kernel.domainname"


def container(spec: Spec, root: int, netns: str | None) -> Spec:
    """The document for `create`. root: an fd of the mounted root, in which users are looked up. netns: the path of the
    network namespace to enter.

    A domain name is set by its sysctl, which older runtimes know as well. Annotations of scow's own are left out.
    """
    linux = dict(spec.get("linux") or {})
    namespaces = [dict(item) for item in linux.get("namespaces") or ()]
    if netns is not None:
        for item in namespaces:
            if item.get("type") == "network":
                item["path"] = netns
    linux["namespaces"] = namespaces
    result = {name: value for name, value in spec.items() if value not in ("", None)}
    annotations = {name: str(value) for name, value in (spec.get("annotations") or {}).items()}
    result["ociVersion"] = _VERSION
    result["annotations"] = {name: value for name, value in annotations.items() if not name.startswith(OURS)}
    domain = result.pop("domainname", "")
    if domain and any(item.get("type") == "uts" for item in namespaces):
        linux["sysctl"] = {_DOMAIN: domain, **(linux.get("sysctl") or {})}
    propagation = str(linux.pop("rootfsPropagation", "")).removeprefix("r")
    if propagation not in ("", "private"):  # that is what every runtime does unasked
        linux["rootfsPropagation"] = propagation
    result["linux"] = linux
    result["process"] = process(spec, spec["process"], root)
    result["mounts"] = [_mount(item) for item in spec.get("mounts") or ()]
    return result


def process(spec: Spec, wanted: Process, root: int) -> Process:
    """A `process` object: the user in numbers, HOME, and no default limit that the machine does not allow.

    spec: the container's, whose annotations tell the limits that are no defaults. NotFound and InvalidArgument for the
    user carry Docker's words.
    """
    result = {name: value for name, value in wanted.items() if name != "privileged"}
    user = wanted.get("user") or {}
    name, additional = user.get("username"), user.get("additionalGids") or ()
    if name:
        who = users.resolve(root, str(name), additional=additional)
    else:
        who = users.by_number(root, int(user.get("uid") or 0), int(user.get("gid") or 0), additional)
    result["user"] = {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)}
    if "umask" in user:
        result["user"]["umask"] = user["umask"]
    environment = [str(word) for word in wanted.get("env") or ()]
    if not any(word.startswith("HOME=") and word != "HOME=" for word in environment):
        environment = [word for word in environment if word != "HOME="] + [f"HOME={who.home}"]
    result["env"] = environment
    if not wanted.get("args"):
        raise InvalidArgument("no command specified")
    asked_for, allowed = explicit_limits(spec), bool(capabilities.granted() & capabilities.SYS_RESOURCE)
    result["rlimits"] = [lowered(item, asked_for, allowed) for item in wanted.get("rlimits") or ()]
    return result


def _mount(item: Mapping[str, Any]) -> dict[str, Any]:
    """A read-only rbind is read-only all the way down with every runtime. Below a file there is nothing: crun refuses."""
    options = list(item.get("options") or ())
    decided = "rrw" in options or "rro" in options
    if "rbind" in options and "ro" in options and not decided and os.path.isdir(str(item.get("source") or "")):
        options.append("rro")
    return {**item, "options": options}
