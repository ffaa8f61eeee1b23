"""Starter images, as far as they need no network: busybox."""

import os
import subprocess
from collections.abc import Sequence

import pytest

from scow.errors import InvalidArgument
from scow.images.bootstrap import bootstrap
from scow.images.starter import command, debian
from scow.model.transfer import PullProgress
from tests.integration.images.world import World


def test_busybox(world: World) -> None:
    said: list[PullProgress] = []
    (image,) = world.run(bootstrap(world.store, ["busybox"], said.append))
    assert image.tags == ("busybox:latest",) and image.digests == () and image.config.cmd == ("sh",)
    assert any("applets" in step.status for step in said)
    ((root,), _, _) = world.snapshots.directories("c", image.chain_ids)
    assert os.stat(f"{root}/bin/sh").st_ino == os.stat(f"{root}/bin/busybox").st_ino
    assert os.stat(f"{root}/tmp").st_mode & 0o7777 == 0o1777
    printed = subprocess.run(["chroot", root, "/bin/sh", "-c", "id -un; echo $0"], capture_output=True, text=True)
    assert printed.stdout == "root\n/bin/sh\n"
    assert os.listdir(world.root / "tmp") == []


def test_the_same_packages_give_the_same_image(world: World) -> None:
    def build() -> str:
        (image,) = world.run(bootstrap(world.store, ("busybox",), lambda _: None))
        return image.id

    assert build() == build()
    assert len(world.store.images()) == 1 and len(world.leftovers()[1]) == 1
    world.reopen()
    assert world.store.resolve("busybox").size > 1_000_000


def test_unknown_names_are_refused(world: World) -> None:
    with pytest.raises(InvalidArgument, match="no starter image is called 'alpine'"):
        world.run(bootstrap(world.store, ["alpine"], lambda _: None))


def test_a_failing_builder_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(arguments: Sequence[str], tell: object, directory: str = "/") -> None:
        raise command.CommandFailed("mmdebstrap ended with status 1: no network")

    monkeypatch.setattr(command, "find", lambda program, package: f"/usr/bin/{program}")
    monkeypatch.setattr(command, "run", broken)
    with pytest.raises(command.CommandFailed):
        world.run(bootstrap(world.store, ["debian"], lambda _: None))
    assert world.store.images() == () and world.leftovers() == ([], []) and os.listdir(world.root / "tmp") == []


def test_programs_are_run_without_a_shell_and_their_output_is_bounded(world: World) -> None:
    lines: list[str] = []
    world.run(command.run(["/bin/echo", "$HOME `id`; \x1b[31m" + "x" * 2000], lines.append))
    assert lines[0].startswith("$HOME `id`;  [31m") and len(lines[0]) <= 400
    with pytest.raises(command.CommandFailed, match="false ended with status 1"):
        world.run(command.run(["/bin/false"], lines.append))


def test_codename() -> None:
    assert debian.codename().isalpha()
