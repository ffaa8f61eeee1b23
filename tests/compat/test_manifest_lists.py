"""Manifest lists made by scow's CLI and by Docker's: the same files, the same documents, the same digests, the same words."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.archives import Made, docker_archive, layer
from tests.harness.engine import Engine
from tests.harness.registry import Registry

pytestmark = pytest.mark.usefixtures("needs_docker")
Sources = dict[str, str]


@pytest.fixture
def sources(scratch: Engine, registry: Registry, tmp_path: Path) -> Iterator[Sources]:
    """Images of two architectures in repositories of their own: architecture to name."""
    found, images = {}, []
    for architecture in ("amd64", "arm64"):
        name = f"{registry.address}/lists/{architecture}:1"
        image = Made([layer("shared"), layer(architecture)], [name], architecture=architecture)
        (tmp_path / "image.tar").write_bytes(docker_archive(image))
        scratch.out("load", "-q", "-i", str(tmp_path / "image.tar"))
        scratch.out("push", "-q", name)
        found[architecture] = name
        images.append(image.id)
    scratch.out("rmi", "-f", *images)
    yield found
    for image in images:
        scratch.scow("rmi", "-f", image)


def commands(engine: Engine) -> dict[str, Callable[..., tuple[int, str, str]]]:
    """Both CLIs. Docker's asks for a flag to talk to a registry without TLS; scow's daemon decides by itself."""

    def scow(verb: str, *args: str) -> tuple[int, str, str]:
        done = engine.scow("manifest", verb, *args)
        return done.returncode, done.stdout, done.stderr

    def docker(verb: str, *args: str) -> tuple[int, str, str]:
        flag = ("--insecure",) if verb in ("create", "push", "inspect") else ()
        done = engine.docker("manifest", verb, *flag, *args)
        return done.returncode, done.stdout, done.stderr

    return {"scow": scow, "docker": docker}


def test_both_make_the_same_list(scratch: Engine, registry: Registry, sources: Sources) -> None:
    answers = {}
    for name, run in commands(scratch).items():
        target = f"{registry.address}/lists/all:{name}"
        said = [
            run("create", target, *sources.values()),
            run("create", target, *sources.values()),
            run("annotate", target, sources["arm64"], "--variant", "v8", "--os-version", "1.2", "--os-features", "x,y"),
            run("annotate", target, sources["arm64"], "--arch", "none"),
            run("annotate", target, "nothing:1", "--arch", "arm64"),
            run("inspect", target),
            run("inspect", "-v", target),
            run("inspect", target, sources["amd64"]),
            run("inspect", target, "nothing:1"),
            run("push", "-p", target),
            run("push", target),
            run("rm", target),
            run("create", f"{target}-again", target),
            run("create", target, f"{registry.address}/lists/nothing:1"),
        ]
        answers[name] = [
            (code, out.replace(f":{name}", ":X"), err.replace(f":{name}", ":X")) for code, out, err in said
        ]
    assert answers["scow"] == answers["docker"]
    codes = [code for code, _, _ in answers["scow"]]
    assert codes == [0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1]


def test_each_goes_on_with_what_the_other_began(scratch: Engine, registry: Registry, sources: Sources) -> None:
    target = f"{registry.address}/lists/mixed:1"
    both = commands(scratch)
    assert both["scow"]("create", target, sources["amd64"])[0] == 0
    assert both["docker"]("create", "--amend", target, sources["arm64"])[0] == 0
    assert both["scow"]("inspect", target) == both["docker"]("inspect", target)
    pushed = [both[name]("push", target)[1].splitlines() for name in ("docker", "scow")]
    assert pushed[0] == pushed[1] and len(pushed[0]) == 3
    assert both["scow"]("rm", target) == (0, "", "")
    for architecture in ("amd64", "arm64"):
        scratch.out("pull", "-q", "--platform", f"linux/{architecture}", target)
        (found,) = json.loads(scratch.out("image", "inspect", "--platform", f"linux/{architecture}", target))
        assert found["Architecture"] == architecture
        assert f"{registry.address}/lists/mixed@{pushed[0][-1]}" in found["RepoDigests"]
        scratch.out("history", "--platform", f"linux/{architecture}", target)
        for command in (("image", "inspect"), ("history",), ("save",), ("push",), ("rmi",)):
            refused = scratch.scow(*command, "--platform", "linux/s390x", target)
            assert refused.returncode == 1 and "linux/s390x" in refused.stderr, command
        scratch.out("rmi", "--platform", f"linux/{architecture}", target)


def test_a_list_stays_within_one_registry(scratch: Engine, registry: Registry, sources: Sources) -> None:
    said = []
    for run in commands(scratch).values():
        assert run("create", "example.com/all:1", sources["amd64"])[0] == 0
        said.append(run("push", "example.com/all:1"))
        assert run("rm", "example.com/all:1")[0] == 0
    assert said[0] == said[1] and "different registry" in said[0][2]
