"""commit, diff, export and import as Docker does them, by scow's CLI, the docker CLI and docker-py.

SCOW_TEST_HOST=unix:///PATH runs what can run on dockerd, to see whether a test asks for what Docker does.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness.clients import Clients
from tests.harness.engine import Engine

CHANGE = (
    "echo new > /etc/new; touch /etc/passwd; chmod 700 /home; rm -rf /var; mkdir /var; echo x > /var/x; "
    "rm -r /root; echo file > /root; ln -s target /lnk; mkdir -p /a/b; mkfifo /a/fifo; rm /bin/wget; "
    "touch /tmp; mkdir /opt; touch /dev/x /etc/hosts; ln /a/fifo /a/again"
)
DIFF = """\
A /a
A /a/again
A /a/b
A /a/fifo
C /bin
D /bin/wget
C /etc
A /etc/new
C /etc/passwd
C /home
A /lnk
A /mnt
A /mnt/in
A /opt
C /root
C /var
D /var/spool
D /var/www
A /var/x
A /vol
"""


@pytest.fixture
def changed(clean: Clients) -> Iterator[Clients]:
    """A container `cc` that has changed a bit of everything, and has ended."""
    network = {"NetworkMode": "none"}
    make_var = "mkdir -p /var/spool/mail /var/www; echo > /var/www/x"
    clean.create("base", Cmd=["sh", "-c", make_var], HostConfig=network)
    clean.start_container("base")
    clean.api("POST", "/containers/base/wait", timeout=60)
    clean.api("POST", "/commit", query={"container": "base", "repo": "im", "tag": "base"})
    clean.remove_all()
    clean.create(
        "cc",
        "im:base",
        Cmd=["sh", "-c", CHANGE],
        Labels={"old": "1"},
        Env=["FOO=bar"],
        ExposedPorts={"9/tcp": {}},
        Volumes={"/vol": {}},
        HostConfig={"Tmpfs": {"/mnt/in": ""}, **network},
    )
    clean.start_container("cc")
    clean.api("POST", "/containers/cc/wait", timeout=60)
    yield clean
    clean.remove_all()
    clean.api("DELETE", "/images/im:base", query={"force": "1"})


def rows(text: str) -> list[str]:
    """The lines of a diff, by path; Docker gives them in the order of its walk."""
    return sorted(text.splitlines(), key=lambda line: line[2:])


def test_diff_is_dockers(changed: Clients) -> None:
    answer = changed.api("GET", "/containers/cc/changes").json()
    text = "".join(f"{'CAD'[change['Kind']]} {change['Path']}\n" for change in answer)
    assert rows(text) == rows(DIFF)


def commit(engine: Clients, **query: Any) -> dict[str, Any]:
    answer = engine.api("POST", "/commit", query={"container": "cc", **query})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = engine.api("GET", f"/images/{answer.json()['Id']}/json").json()
    return found


def test_the_image_of_a_commit(changed: Clients) -> None:
    changes = "\n".join(
        (
            'CMD ["a", "b"]',
            "ENV X=1 FOO=baz Y=$FOO",
            "LABEL q=r s='t u'",
            "EXPOSE 99/udp 80",
            "USER nobody",
            "VOLUME /data /more",
            "WORKDIR rel",
            "WORKDIR deeper",
            "STOPSIGNAL SIGUSR1",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=5s --retries=2 CMD true",
            "ENTRYPOINT exec foo",
        )
    )
    image = commit(changed, repo="im", tag="one", author="me", comment="said", changes=changes)
    try:
        assert image["RepoTags"] == ["im:one"]
        assert (image["Author"], image["Comment"], image["Os"]) == ("me", "said", "linux")
        config = image["Config"]
        assert [word for word in config["Env"] if not word.startswith("PATH=")] == ["FOO=baz", "X=1", "Y=bar"]
        assert config["Cmd"] == ["a", "b"] and config["Entrypoint"] == ["/bin/sh", "-c", "exec foo"]
        assert config["Labels"] == {"old": "1", "q": "r", "s": "t u"}
        assert config["ExposedPorts"] == {"9/tcp": {}, "80/tcp": {}, "99/udp": {}}
        assert config["Volumes"] == {"/vol": {}, "/data": {}, "/more": {}}
        assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("nobody", "/rel/deeper", "SIGUSR1")
        assert config["OnBuild"] == ["RUN x"]
        assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2}
        history = changed.api("GET", "/images/im:one/history").json()
        assert history[0]["CreatedBy"] == f"sh -c {CHANGE}" and history[0]["Comment"] == "said"
        assert history[0]["Tags"] == ["im:one"] and history[0]["Size"] > 0
        assert len(image["RootFS"]["Layers"]) == 3
    finally:
        changed.api("DELETE", "/images/im:one", query={"force": "1"})


def test_what_was_changed_is_in_the_image_and_what_was_removed_is_not(changed: Clients) -> None:
    commit(
        changed,
        repo="im",
        tag="two",
        changes='CMD ["sh", "-c", "cat /etc/new /root /var/x; ls /var /bin/wget; stat -c %a /home"]',
    )
    try:
        done = changed.docker("run", "--rm", "--network", "none", "im:two")
        assert done.stdout == "new\nfile\nx\n/var:\nx\n700\n"
        assert "/bin/wget: No such file" in done.stderr
    finally:
        changed.api("DELETE", "/images/im:two", query={"force": "1"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("run x", "run is not a valid change command"),
        ("COPY a b", "COPY is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("LABEL a", "LABEL must have two arguments"),
        ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("EXPOSE abc", "Invalid containerPort: abc"),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("STOPSIGNAL XX", "invalid signal: XX"),
        ("HEALTHCHECK --foo CMD x", "unknown flag: foo"),
        ("HEALTHCHECK BAR", 'Unknown type "BAR" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK --interval=1 CMD x", 'time: missing unit in duration "1"'),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("", "file with no instructions"),
    ],
)
def test_bad_changes_are_refused_in_dockers_words(clean: Clients, changes: str, message: str) -> None:
    clean.create("cc", Cmd=["true"], HostConfig={"NetworkMode": "none"})
    answer = clean.api("POST", "/commit", query={"container": "cc", "changes": changes})
    assert (answer.status, answer.message) == (400, message)


def test_names_of_a_commit(clean: Clients) -> None:
    assert clean.api("POST", "/commit", query={"container": "nosuch"}).status == 404
    clean.create("cc", Cmd=["true"], HostConfig={"NetworkMode": "none"})
    for repo, tag in (("UPPER", ""), ("a", "b:c"), ("a@sha256:" + "0" * 64, "")):
        assert clean.api("POST", "/commit", query={"container": "cc", "repo": repo, "tag": tag}).status == 400
    image = commit(clean, repo="im")
    try:
        assert image["RepoTags"] == ["im:latest"]
        parent = clean.api("GET", "/images/busybox/json").json()
        assert image["Parent"] == parent["Id"]
        # nothing was changed: no layer, and the history says so
        assert image["RootFS"]["Layers"] == parent["RootFS"]["Layers"]
    finally:
        clean.api("DELETE", "/images/im", query={"force": "1"})


def test_a_body_takes_the_place_of_the_configuration(clean: Clients) -> None:
    clean.create("cc", Cmd=["sleep", "1"], Env=["A=1", "B=2"], HostConfig={"NetworkMode": "none"})
    body = {"Env": ["A=3"], "Cmd": ["other"], "User": "7", "Labels": {"l": "m"}}
    answer = clean.api("POST", "/commit", body, query={"container": "cc"})
    config = clean.api("GET", f"/images/{answer.json()['Id']}/json").json()["Config"]
    assert (config["Env"][:1], config["Cmd"], config["User"]) == (["A=3"], ["other"], "7")
    assert "B=2" in config["Env"] and config["Labels"] == {"l": "m"}
    clean.api("DELETE", f"/images/{answer.json()['Id']}", query={"force": "1"})


@pytest.mark.parametrize("state", ["running", "paused", "created", "exited"])
def test_in_every_state(clean: Clients, state: str) -> None:
    clean.create("cc", Cmd=["sleep", "100"] if state != "exited" else ["true"], HostConfig={"NetworkMode": "none"})
    if state != "created":
        clean.start_container("cc")
    if state == "paused":
        clean.api("POST", "/containers/cc/pause")
    if state == "exited":
        clean.api("POST", "/containers/cc/wait")
    image = commit(clean)
    assert clean.api("GET", "/containers/cc/json").json()["State"]["Status"] == state
    clean.api("DELETE", f"/images/{image['Id']}", query={"force": "1"})


def test_events_of_a_commit(clean: Clients) -> None:
    identity = clean.create("cc", Cmd=["sleep", "100"], HostConfig={"NetworkMode": "none"})
    clean.start_container("cc")
    image = commit(clean, repo="im", tag="ev", comment="why")
    commit(clean, repo="im", tag="ev2", pause="0")
    now = clean.api("GET", "/info").json()["SystemTime"]
    lines = clean.docker(
        "events", "--since", "1m", "--until", now, "--filter", f"container={identity}", "--format", "{{json .}}"
    )
    events = [json.loads(line) for line in lines.stdout.splitlines()]
    actions = [event["Action"] for event in events if event["Action"] not in ("create", "start")]
    assert actions == ["pause", "commit", "unpause", "commit"]
    attributes = next(event for event in events if event["Action"] == "commit")["Actor"]["Attributes"]
    assert (attributes["comment"], attributes["imageID"], attributes["imageRef"]) == ("why", image["Id"], "im:ev")
    for tag in ("ev", "ev2"):
        clean.api("DELETE", f"/images/im:{tag}", query={"force": "1"})


def test_both_clis_and_docker_py(changed: Clients, needs_docker: None) -> None:
    ids = [
        changed.docker("commit", "-a", "me", "-m", "said", "-c", "CMD ls", "cc", "im:d", check=True).stdout.strip(),
        changed.out("commit", "-a", "me", "-m", "said", "-c", "CMD ls", "cc", "im:s"),
    ]
    client = docker.DockerClient(changed.host, version="1.45")
    made = client.containers.get("cc").commit(
        "im", "p", message="said", author="me", changes=["CMD ls"], conf={"User": "5"}
    )
    ids.append(made.id)
    shown = [changed.api("GET", f"/images/{identity}/json").json() for identity in ids]
    assert [image["Config"]["Cmd"] for image in shown] == [["/bin/sh", "-c", "ls"]] * 3
    assert len({tuple(image["RootFS"]["Layers"]) for image in shown}) == 1, "the same tree gives the same layer"
    assert shown[2]["Config"]["User"] == "5"
    client.close()
    for tag in "dsp":
        changed.api("DELETE", f"/images/im:{tag}", query={"force": "1"})


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def test_export_has_the_whole_tree(changed: Clients, tmp_path: Path) -> None:
    found = members(changed.api("GET", "/containers/cc/export").body)
    assert {"etc/new", "bin/busybox", "lnk", "a/fifo", "root", "vol", "mnt/in"} <= found.keys()
    assert "bin/wget" not in found and not [name for name in found if name.startswith(("proc/", "sys/"))]
    assert found["root"].isreg() and found["lnk"].linkname == "target" and found["home"].mode == 0o700
    assert found["a/fifo"].islnk() or found["a/again"].linkname == "a/fifo" or found["a/fifo"].linkname == "a/again"
    assert changed.api("GET", "/containers/nosuch/export").status == 404


def test_export_of_both_clis(changed: Clients, tmp_path: Path, needs_docker: None) -> None:
    for number, (client, word) in enumerate(((changed.scow, "scow"), (changed.docker, "docker"))):
        path = tmp_path / f"{number}.tar"
        client("export", "-o", str(path), "cc", check=True)
        assert "etc/new" in members(path.read_bytes()), word
        bad = client("export", "-o", str(tmp_path / "no" / "x"), "cc")
        assert bad.returncode == 1 and bad.stderr.startswith("failed to export container: invalid output path: stat ")
        on_terminal = changed.run(["script", "-qec", f"{' '.join(_program(changed, word))} export cc", "/dev/null"])
        assert "cowardly refusing to save to a terminal. Use the -o flag or redirect" in on_terminal.stdout


def _program(engine: Clients, word: str) -> list[str]:
    from tests.harness.clients import ROOT

    return [str(ROOT / "bin/scow") if word == "scow" else "docker", "-H", engine.host]


PACKERS = {
    "plain": ["cat"],
    "gzip": ["gzip", "-c"],
    "bzip2": ["bzip2", "-c"],
    "xz": ["xz", "-c"],
    "zstd": ["zstd", "-qc"],
}


@pytest.mark.parametrize("packer", PACKERS)
def test_import_takes_every_compression(changed: Clients, tmp_path: Path, packer: str) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hello").write_text("hello")
    plain = subprocess.run(["tar", "-c", "-C", str(tree), "."], capture_output=True, check=True).stdout
    try:
        data = subprocess.run(PACKERS[packer], input=plain, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip(f"no {packer} here")
    query = {
        "fromSrc": "-",
        "repo": "im",
        "tag": packer,
        "message": "why",
        "changes": "CMD ls -l",
        "platform": "linux/arm64",
    }
    answer = changed.api("POST", "/images/create", data, query=query, headers={"Content-Type": "text/plain"})
    assert answer.status == 200, answer.body
    identity = json.loads(answer.body.splitlines()[-1])["status"]
    image = changed.api("GET", f"/images/im:{packer}/json").json()
    try:
        assert image["Id"] == identity
        assert (image["Architecture"], image["Comment"], image["Size"]) == ("arm64", "why", 5)
        assert image["Config"]["Cmd"] == ["/bin/sh", "-c", "ls -l"]
        import hashlib

        assert image["RootFS"]["Layers"] == ["sha256:" + hashlib.sha256(plain).hexdigest()]
    finally:
        changed.api("DELETE", f"/images/im:{packer}", query={"force": "1"})


def test_import_by_both_clis_and_from_a_url(changed: Clients, tmp_path: Path, needs_docker: None) -> None:
    import functools
    import http.server
    import threading

    path = tmp_path / "c.tar"
    path.write_bytes(changed.api("GET", "/containers/cc/export").body)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.func.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        for word, client in (("scow", changed.scow), ("docker", changed.docker)):
            made = client(
                "import", "-m", "why", "-c", "CMD cat /etc/new", str(path), f"im:{word}", check=True
            ).stdout.strip()
            assert made.startswith("sha256:") and len(made) == 71
            assert client("run", "--rm", "--network", "none", f"im:{word}").stdout == "new\n"
            lines = client("import", url + "c.tar", check=True).stdout.splitlines()
            assert lines[0] == f"Downloading from {url}c.tar" and lines[-1].startswith("sha256:")
            changed.api("DELETE", f"/images/{lines[-1]}", query={"force": "1"})
            missing = client("import", url + "nothing")
            assert missing.returncode == 1 and "with status 404" in missing.stderr
            assert client("import", str(tmp_path / "nothing")).returncode == 1
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for word in ("scow", "docker"):
            changed.api("DELETE", f"/images/im:{word}", query={"force": "1"})


def test_what_is_no_archive_is_no_image(scratch: Engine) -> None:
    """Docker makes an empty image of garbage; scow refuses it, and leaves nothing."""
    before = scratch.api("GET", "/images/json").json()
    layers = sorted(path.name for path in (scratch.data_root / "layers").iterdir())
    for data in (b"", b"garbage" * 200, b"\x1f\x8b" + b"garbage" * 200):
        answer = scratch.api(
            "POST", "/images/create", data, query={"fromSrc": "-"}, headers={"Content-Type": "text/plain"}
        )
        assert answer.status >= 400 or b"errorDetail" in answer.body
    assert scratch.api("GET", "/images/json").json() == before
    assert sorted(path.name for path in (scratch.data_root / "layers").iterdir()) == layers
    assert not list((scratch.data_root / "images/ingest").iterdir())
