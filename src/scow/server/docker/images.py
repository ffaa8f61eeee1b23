"""Routes of images."""

from scow.api.create import BootstrapBody
from scow.api.image import DeletedItem
from scow.api.values import UNSET
from scow.engine.images import pull as pulling
from scow.engine.images import query, remove, tag
from scow.engine.ports import ProgressCallback
from scow.errors import Internal, InvalidArgument, Unauthenticated, Unavailable, Unsupported
from scow.oci.digest import Digest
from scow.oci.platform import Platform
from scow.oci.reference import Reference
from scow.server.docker import making
from scow.server.docker.call import Call
from scow.server.docker.convert.image import show_history, show_image, show_image_summary
from scow.server.docker.platforms import platform_of
from scow.server.docker.progress import answer
from scow.server.docker.registry import registry_auth


async def list_images(call: Call) -> None:
    """GET /images/json"""
    filters = call.filters()
    if call.version < (1, 41) and call.text("filter"):
        filters.setdefault("reference", []).append(call.text("filter"))
    found = query.list_images(call.engine, call.flag("all"), filters)
    shared = query.shared_sizes(call.engine) if call.flag("shared-size") and call.version >= (1, 42) else {}
    call.send([show_image_summary(image, call.version, shared=shared.get(image.id, -1)) for image in found])


async def inspect(call: Call) -> None:
    """GET /images/{name}/json"""
    found = query.get(call.engine, call.name, platform_of(call))
    # docker-compose 1 speaks the newest version and fails without a field that only older ones have
    old = call.request.headers.get("user-agent", "").startswith("docker-compose/1.")
    call.send(show_image(call.engine, found, call.version, container_config=old))


async def history(call: Call) -> None:
    """GET /images/{name}/history"""
    call.send([show_history(item) for item in query.history(call.engine, call.name, platform_of(call))])


async def create(call: Call) -> None:
    """POST /images/create: a pull, or an import."""
    if call.text("fromSrc"):
        await making.import_image(call)
        return
    name, wanted = call.text("fromImage"), call.text("tag")
    if not name:
        raise InvalidArgument("fromImage: an image name is required")
    reference = pull_reference(name, wanted)
    platform = call.text("platform")
    if platform:
        Platform.parse(platform)
    credentials = registry_auth(call)

    async def work(progress: ProgressCallback) -> object:
        try:
            return await pulling.pull(call.engine, reference, platform, credentials, progress)
        except (Unauthenticated, Unavailable) as error:
            raise _PullFailure(error.message) from error

    await answer(call, work, f"pull {reference.familiar}")


class _PullFailure(Internal):
    """Docker answers 500 when a registry refuses or is out of reach; on 401 its CLI would ask for a password."""


def pull_reference(name: str, tag_or_digest: str) -> Reference:
    """`fromImage` and `tag`, where the tag may be a digest; with neither it is every tag of the repository."""
    reference = Reference.parse(name)
    if tag_or_digest:
        if ":" in tag_or_digest:
            return reference.with_digest(Digest.parse(tag_or_digest))
        return reference.with_tag(tag_or_digest)
    return reference


async def tag_image(call: Call) -> None:
    """POST /images/{name}/tag"""
    repo = call.text("repo")
    if not repo:
        query.get(call.engine, call.name)
        raise InvalidArgument("repo: a repository name is required")
    await tag.tag(call.engine, call.name, repo, call.text("tag"))
    call.empty(201)


async def remove_image(call: Call) -> None:
    """DELETE /images/{name}"""
    if not call.name.strip():
        raise InvalidArgument("image name cannot be blank")
    removed = await remove.remove(
        call.engine,
        call.name,
        force=call.flag("force"),
        prune=not call.flag("noprune"),
        platform=platform_of(call),
    )
    call.send([DeletedItem(item.untagged or UNSET, item.deleted or UNSET) for item in removed])


async def bootstrap(call: Call) -> None:
    """POST /scow/images/bootstrap: build starter images from the distribution's packages."""
    wire = await call.optional_json(BootstrapBody) or BootstrapBody()
    run = call.wiring.bootstrap
    if run is None:
        raise Unsupported("this daemon cannot build starter images")
    names = (*call.texts("name"), *(wire.Names or ()))
    await answer(call, lambda progress: run(names, progress), "bootstrap")
