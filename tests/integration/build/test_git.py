"""Git repositories as contexts and as sources of ADD; contexts by name."""

from pathlib import Path

import pytest

from tests.harness import git
from tests.harness.clients import Clients
from tests.harness.contexts import build, run

pytestmark = pytest.mark.root
_DOCKERFILE = "FROM busybox\nCOPY . /c\n"


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """(the directory of repositories, the first commit of its r.git)."""
    first = git.repository(
        tmp_path / "r.git", {"Dockerfile": _DOCKERFILE, "a": "1", "sub/Dockerfile": _DOCKERFILE, "sub/b": "2"}
    )
    (tmp_path / "r.git/link").symlink_to("/etc")
    git.git(tmp_path / "r.git", "checkout", "-q", "-b", "dev/x")
    git.commit(tmp_path / "r.git", {"a": "dev"})
    git.git(tmp_path / "r.git", "tag", "v1")
    git.git(tmp_path / "r.git", "checkout", "-q", "main")
    (tmp_path / "r.git/.git/hooks").mkdir(exist_ok=True)
    return tmp_path, first


def _shown(clean: Clients, remote: str, command: str = "cd /c; ls; cat a") -> str:
    said = build(clean, b"", remote=remote)
    return run(clean, said.image, command).replace("\n", " ")


def test_refs_directories_and_submodules(clean: Clients, repository: tuple[Path, str]) -> None:
    """CVE-2022-39253: a submodule cannot name a path of the daemon's machine."""
    root, first = repository
    git.repository(root / "inner.git", {"i": "inner"})
    with git.daemon(root) as url:
        assert _shown(clean, f"{url}/r.git") == "Dockerfile a sub 1"
        assert _shown(clean, f"{url}/r.git#dev/x") == "Dockerfile a link sub dev"
        assert _shown(clean, f"{url}/r.git#v1:sub", "cd /c; ls; cat b") == "Dockerfile b 2"
        assert _shown(clean, f"{url}/r.git#{first}") == "Dockerfile a sub 1"
        assert _shown(clean, f"{url}/r.git#{first[:9]}") == "Dockerfile a sub 1"
        git.git(root / "r.git", "submodule", "--quiet", "add", f"{url}/inner.git", "m")
        git.commit(root / "r.git", {"a": "with"})
        assert _shown(clean, f"{url}/r.git", "cd /c; cat a m/i") == "withinner"
        times = "cd /c; stat -c %Y a m/i"
        assert _shown(clean, f"{url}/r.git", times) == "981173106 981173106 "
        git.git(root / "r.git", "config", "-f", ".gitmodules", "submodule.m.url", str(root / "inner.git"))
        git.commit(root / "r.git", {"a": "a path of this machine"})
        refused = build(clean, b"", remote=f"{url}/r.git")
        assert refused.status == 503 and "transport 'file' not allowed" in refused.error, refused


@pytest.mark.parametrize(
    ("remote", "status", "error"),
    [
        ("URL/r.git#nosuch", 404, "URL/r.git has no ref nosuch"),
        ("URL/r.git#:nosuch", 404, "directory nosuch of URL/r.git: no such file or directory"),
        ("URL/r.git#v1:link", 404, "directory link of URL/r.git: no such file or directory"),
        ("URL/r.git#--upload-pack=x", 400, "invalid git ref '--upload-pack=x'"),
        ("URL/r.git#v1:../x", 400, "invalid directory '../x' of a git repository"),
        ("git://-oProxyCommand=x/r.git", 400, "invalid host or path in git repository 'git://-oProxyCommand=x/r.git'"),
        ("ext::sh -c x", 400, "invalid remote context: ext::sh -c x"),
        ("file:///etc/x.git", 400, "invalid remote context: file:///etc/x.git"),
    ],
)
def test_what_is_wrong_is_said(
    clean: Clients, repository: tuple[Path, str], remote: str, status: int, error: str
) -> None:
    """CVE-2019-13139: options in a ref; CVE-2026-33748: a directory that is a link out of the checkout."""
    with git.daemon(repository[0]) as url:
        said = build(clean, b"", remote=remote.replace("URL", url))
        assert (said.status, said.error) == (status, error.replace("URL", url))


def test_a_password_is_shown_nowhere_and_in_no_layer(clean: Clients, repository: tuple[Path, str]) -> None:
    with git.http(repository[0], "s3cret") as url:
        assert _shown(clean, f"{url}/r.git#dev/x") == "Dockerfile a link sub dev"
        denied = build(clean, b"", remote=url.replace("s3cret", "wr0ng") + "/r.git")
        assert denied.status == 503 and "wr0ng" not in denied.error and "Authentication failed" in denied.error
        inner = repository[0] / "inner.git"
        git.repository(inner, {"i": "inner"})
        git.git(repository[0] / "r.git", "submodule", "--quiet", "add", str(inner), "m")
        git.git(repository[0] / "r.git", "config", "-f", ".gitmodules", "submodule.m.url", "../inner.git")
        git.commit(repository[0] / "r.git", {"a": "with a submodule at a relative address"})
        said = build(clean, f"FROM busybox\nADD --keep-git-dir {url}/r.git /r\n")
        assert "s3cret" not in run(clean, said.image, "cat /r/.git/config /r/m/i; ls /r/.git; grep -r s3cret /r; true")


def test_add_of_a_repository(clean: Clients, repository: tuple[Path, str]) -> None:
    root, first = repository
    with git.daemon(root) as url:
        said = build(clean, f"FROM busybox\nADD {url}/r.git#{first} /r\nADD --checksum={first} {url}/r.git#:sub /s/\n")
        assert run(clean, said.image, "ls -A /r /s").split() == [
            "/r:",
            "Dockerfile",
            "a",
            "sub",
            "/s:",
            "Dockerfile",
            "b",
        ]
        again = build(clean, f"FROM busybox\nADD {url}/r.git#{first} /r\nADD --checksum={first} {url}/r.git#:sub /s/\n")
        assert (again.cached, again.image) == (2, said.image)
        wrong = build(clean, f"FROM busybox\nADD --checksum={'0' * 40} {url}/r.git /r\n")
        assert wrong.error == f"expected checksum to match {'0' * 40}, got {first}"
        kept = build(clean, f"FROM busybox\nADD --keep-git-dir=true {url}/r.git /r\n")
        assert run(clean, kept.image, "cat /r/.git/HEAD").strip() == first
        assert build(clean, f"FROM busybox\nADD --keep-git-dir=true {url}/r.git /r\n").cached == 1


def test_our_command_line_takes_repositories(clean: Clients, repository: tuple[Path, str]) -> None:
    with git.daemon(repository[0]) as url:
        clean.scow("build", "-t", "b/git", f"{url}/r.git#v1", check=True)
    assert run(clean, "b/git", "cat /c/a") == "dev"


def test_contexts_by_name(clean: Clients, repository: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "more/d").mkdir(parents=True)
    (tmp_path / "more/d/f").write_text("F")
    (tmp_path / "more/left").write_text("L")
    (tmp_path / "more/.dockerignore").write_text("left\n")
    dockerfile = """
        FROM nosuch/image AS base
        COPY --from=files d/f /f
        FROM stage
        RUN exit 1
        FROM base
        RUN --mount=type=bind,from=files,target=/m ls -A /m > /seen
        COPY --from=repo a /a
        COPY --from=base /f /g
        FROM files AS other
    """
    (tmp_path / "main/Dockerfile").write_text(dockerfile)
    with git.daemon(repository[0]) as url:
        named = ("files=" + str(tmp_path / "more"), "NoSuch/Image=docker-image://busybox", f"repo={url}/r.git#v1")
        options = [word for value in named for word in ("--build-context", value)]
        clean.scow(
            "build", "--network", "none", *options, "-t", "b/named", "--target", "2", str(tmp_path / "main"), check=True
        )
        assert run(clean, "b/named", "cat /f /g /a /seen").split() == ["FFdev.dockerignore", "d"]
        clean.scow("build", *options, "-t", "b/files", str(tmp_path / "main"), check=True)
    layers = clean.api("GET", "/images/b/files/json").json()["RootFS"]["Layers"]
    assert len(layers) == 1
    wrong = clean.scow("build", "--build-context", "x=oci-layout://y", str(tmp_path / "main"))
    assert (wrong.returncode, "(x) is not supported" in wrong.stderr) == (1, True)
    wrong = clean.scow("build", "--build-context", "x=/no/such", str(tmp_path / "main"))
    assert (wrong.returncode, wrong.stderr) == (1, "failed to get build context x: not a directory: /no/such\n")
