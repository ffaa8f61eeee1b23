"""The table of routes: method and path, `*` for the variable part, which may contain slashes.

docs/compat/operations.md is made from it; see docs/compat/check.
"""

from scow.server.docker import (
    absent,
    archive,
    attach_websocket,
    build,
    build_contexts,
    containers,
    execs,
    image_archives,
    image_upkeep,
    images,
    making,
    networks,
    registry,
    stats,
    streams,
    system,
    updating,
    verify,
    volumes,
)
from scow.server.docker.absent import Handler, refused, refused_for_image

_SWARM = (
    "GET /swarm", "POST /swarm/update", "GET /swarm/unlockkey", "POST /swarm/unlock",
    "GET /nodes", "GET /nodes/*", "DELETE /nodes/*", "POST /nodes/*/update",
    "GET /services", "POST /services/create", "GET /services/*", "DELETE /services/*", "POST /services/*/update",
    "GET /services/*/logs", "GET /tasks", "GET /tasks/*", "GET /tasks/*/logs",
    "GET /secrets", "POST /secrets/create", "GET /secrets/*", "DELETE /secrets/*", "POST /secrets/*/update",
    "GET /configs", "POST /configs/create", "GET /configs/*", "DELETE /configs/*", "POST /configs/*/update",
)  # fmt: skip

ROUTES: dict[str, Handler] = {
    "HEAD /_ping": system.ping,
    "GET /_ping": system.ping,
    "GET /version": system.version,
    "GET /info": system.info,
    "GET /events": system.events,
    "GET /system/df": system.disk_usage,
    "POST /auth": registry.auth,
    # containers
    "GET /containers/json": containers.list_containers,
    "POST /containers/create": containers.create,
    "POST /containers/prune": containers.prune,
    "GET /containers/*/json": containers.inspect,
    "GET /containers/*/top": containers.top_container,
    "GET /containers/*/logs": streams.logs,
    "GET /containers/*/changes": containers.changes,
    "GET /containers/*/export": making.export,
    "GET /containers/*/stats": stats.container_stats,
    "POST /containers/*/resize": containers.resize_container,
    "POST /containers/*/start": containers.start_container,
    "POST /containers/*/stop": containers.stop_container,
    "POST /containers/*/restart": containers.restart_container,
    "POST /containers/*/kill": containers.kill_container,
    "POST /containers/*/update": updating.update_container,
    "POST /containers/*/rename": containers.rename_container,
    "POST /containers/*/pause": containers.pause_container,
    "POST /containers/*/unpause": containers.unpause_container,
    "POST /containers/*/attach": streams.attach,
    "GET /containers/*/attach/ws": attach_websocket.attach_websocket,
    "POST /containers/*/wait": streams.wait,
    # not in the specification: experimental in Docker
    "GET /containers/*/checkpoints": absent.checkpoints,
    "POST /containers/*/checkpoints": absent.checkpoints,
    "DELETE /containers/*/checkpoints": absent.checkpoints,
    "DELETE /containers/*": containers.remove_container,
    "HEAD /containers/*/archive": archive.head,
    "GET /containers/*/archive": archive.get,
    "PUT /containers/*/archive": archive.put,
    "POST /containers/*/exec": execs.create,
    "POST /exec/*/start": execs.start,
    "POST /exec/*/resize": execs.resize,
    "GET /exec/*/json": execs.inspect,
    # images
    "GET /images/json": images.list_images,
    "POST /images/create": images.create,
    "GET /images/search": registry.search,
    "POST /images/prune": image_upkeep.prune,
    "GET /images/get": image_archives.save,
    "POST /images/load": image_archives.load,
    "GET /images/*/json": images.inspect,
    "GET /images/*/history": images.history,
    "GET /images/*/attestations": refused_for_image("reading attestations"),
    "GET /images/*/get": image_archives.save_one,
    "POST /images/*/push": registry.push,
    "POST /images/*/tag": images.tag_image,
    "DELETE /images/*": images.remove_image,
    "POST /commit": making.commit,
    "POST /build": build.build,
    "POST /build/prune": build.prune,
    "POST /session": refused("a build session"),
    "GET /distribution/*/json": registry.distribution,
    "POST /scow/build/contexts": build_contexts.propose,
    "POST /scow/build/contexts/files": build_contexts.complete,
    "POST /scow/build/verify": verify.verify,
    "POST /scow/build/agents": build_contexts.agent,
    "POST /scow/images/bootstrap": images.bootstrap,
    "GET /scow/registry/manifest": registry.manifest,
    "POST /scow/registry/manifest": registry.push_list,
    "GET /scow/registry/tags": registry.tags,
    "POST /scow/system/check": image_upkeep.check,
    # volumes, networks
    "GET /volumes": volumes.list_volumes,
    "POST /volumes/create": volumes.create,
    "POST /volumes/prune": volumes.prune,
    "GET /volumes/*": volumes.inspect,
    "PUT /volumes/*": volumes.update,
    "DELETE /volumes/*": volumes.remove,
    "GET /networks": networks.list_networks,
    "POST /networks/create": networks.create,
    "POST /networks/prune": networks.prune,
    "GET /networks/*": networks.inspect,
    "DELETE /networks/*": networks.remove,
    "POST /networks/*/connect": networks.connect,
    "POST /networks/*/disconnect": networks.disconnect,
    # plugins, swarm
    "GET /plugins": absent.no_plugins,
    "GET /plugins/privileges": refused("plugins"),
    "POST /plugins/pull": refused("plugins"),
    "POST /plugins/create": refused("plugins"),
    "GET /plugins/*/json": absent.no_such_plugin,
    "DELETE /plugins/*": absent.no_such_plugin,
    "POST /plugins/*/enable": absent.no_such_plugin,
    "POST /plugins/*/disable": absent.no_such_plugin,
    "POST /plugins/*/upgrade": absent.no_such_plugin,
    "POST /plugins/*/push": absent.no_such_plugin,
    "POST /plugins/*/set": absent.no_such_plugin,
    "POST /swarm/init": refused("swarm mode"),
    "POST /swarm/join": refused("swarm mode"),
    "POST /swarm/leave": absent.not_in_a_swarm,
    **dict.fromkeys(_SWARM, absent.not_a_manager),
}


def find(method: str, path: str) -> tuple[Handler, str] | None:
    """The handler and the variable part of a decoded path without version prefix."""
    exact = ROUTES.get(f"{method} {path}")
    if exact is not None:
        return exact, ""
    parts = path.split("/")
    if len(parts) < 3 or parts[0]:
        return None
    kind, last = parts[1], parts[-1]
    if len(parts) > 3:
        action = last
        end = -1
        if last == "ws" and len(parts) > 4:
            action, end = "attach/ws", -2
        elif kind == "containers" and parts[-2] == "checkpoints" and len(parts) > 4:
            action, end = "checkpoints", -2
        handler = ROUTES.get(f"{method} /{kind}/*/{action}")
        if handler is not None:
            return handler, "/".join(parts[2:end])
    handler = ROUTES.get(f"{method} /{kind}/*")
    name = "/".join(parts[2:])
    return (handler, name) if handler is not None and name else None
