"""Builds that mean harm: each test names the weakness of another builder that it is about."""

import base64
import json
import os
import random
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.contexts import build, context, run
from tests.harness.engine import Engine
from tests.harness.hostile import corpus

pytestmark = pytest.mark.root
TOKEN = f"token-{os.urandom(12).hex()}"


@pytest.fixture
def aim() -> Iterator[Path]:
    """A directory outside every root, which nobody may read or change."""
    with tempfile.TemporaryDirectory(prefix="scowt-", dir="/var/tmp") as base:
        root = Path(base) / "aim"
        (root / "dir").mkdir(parents=True)
        (root / "file").write_text(TOKEN)
        os.chmod(root / "file", 0o640)
        (root / "link").symlink_to("file")

        def state() -> object:
            paths = (root, *sorted(root.rglob("*")))
            return [(str(path), (there := path.lstat()).st_mode, there.st_mtime_ns, there.st_nlink) for path in paths]

        before = state()
        yield root
        assert state() == before and (root / "file").read_text() == TOKEN


def secret_header(**secrets: str) -> dict[str, str]:
    packed = {name: base64.b64encode(value.encode()).decode() for name, value in secrets.items()}
    return {"X-Scow-Build-Secrets": base64.b64encode(json.dumps(packed).encode()).decode()}


def holding(engine: Engine, word: str) -> list[str]:
    """Files below the daemon's base (data root, exec root, log) that have a word."""
    found = subprocess.run(["grep", "-rlaF", "--devices=skip", word, str(engine.base)], capture_output=True, text=True)
    return found.stdout.splitlines()


def test_cve_2024_23650_no_request_ends_the_daemon(scratch: Engine) -> None:
    random.seed(23650)
    names = (
        "buildargs",
        "labels",
        "cachefrom",
        "ulimits",
        "securityopt",
        "outputs",
        "t",
        "shmsize",
        "memory",
        "remote",
    )
    names += ("platform", "target", "dockerfile", "networkmode", "cpuperiod", "extrahosts", "session", "version", "q")
    values = (
        "",
        "\0",
        "{",
        "[]",
        "{}",
        "null",
        "[null]",
        '{"a":{}}',
        "-1",
        str(1 << 70),
        "\ud800",
        "../" * 50,
        "[" * 999,
    )
    bodies = (b"", b"\0" * 1024, b"x" * 700, os.urandom(3000), context({"Dockerfile": "FROM " + "a" * 5000}))
    bodies += (
        context({"Dockerfile": b"\xff\xfe"}),
        context({"Dockerfile/": ""}),
        context({}, links={"Dockerfile": "/x"}),
    )
    pid, statuses = scratch.pid, set()
    for number in range(150):
        query = {random.choice(names): random.choice(values).encode("utf-8", "surrogatepass")}
        headers = {"X-Registry-Config": random.choice(values[3:9]), "X-Scow-Build-Secrets": "!" * (number % 3)}
        answer = scratch.api("POST", "/build", random.choice(bodies), query=query, headers=headers)
        statuses.add(answer.status)
        assert answer.status in (200, 400, 404, 500, 501) and b"Traceback" not in answer.body
    assert {200, 400} <= statuses
    assert scratch.pid == pid and build(scratch, "FROM busybox\nRUN true\n").image
    assert "Traceback" not in scratch.log.read_text()


def test_cve_2024_23651_a_cache_that_another_step_changes_leads_nowhere(clean: Clients, aim: Path) -> None:
    """Where a part of a cache would be mounted, its path could be exchanged: that is refused by name."""
    refused = build(clean, "FROM busybox\nRUN --mount=type=cache,target=/c,source=sub true\n")
    assert "source=" in refused.error and "not supported" in refused.error
    mutator = f"for i in $(seq 60); do rm -rf /c/sub; mkdir /c/sub; rm -rf /c/sub; ln -s {aim} /c/sub; done; echo > /a"
    reader = (
        "for i in $(seq 60); do cat /c/sub/file /c/sub/x 2>/dev/null; touch /c/sub/new 2>/dev/null; done; echo > /b"
    )
    mount = "RUN --mount=type=cache,target=/c,id=test-hostile "
    said = build(
        clean,
        f"FROM busybox AS a\n{mount}{mutator}\nFROM busybox AS b\n{mount}{reader}\n"
        "FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
        nocache="1",
    )
    assert said.image and TOKEN not in said.text
    # the next step mounts it as it was left: with a link
    again = build(clean, f"FROM busybox\n{mount}cat /c/sub/file; ls /c\n", nocache="1")
    assert TOKEN not in again.text
    clean.api("POST", "/build/prune", query={"all": "1"})


def test_cve_2024_23652_cleaning_up_removes_nothing_outside(clean: Clients, aim: Path) -> None:
    """The step puts a link where the engine had made the place for its mount."""
    for swap in (f"mv /stub /old; ln -s {aim} /stub", f"rm -rf /stub/f; mv /stub /gone && ln -s {aim.parent} /stub"):
        said = build(
            clean,
            context(
                {
                    "Dockerfile": "FROM busybox\n"
                    "RUN --mount=type=tmpfs,target=/stub/dir --mount=type=bind,source=d,target=/stub/file "
                    f"--mount=type=cache,target=/stub/link,id=stub {swap}; true\nRUN ls /\n",
                    "d/x": "x",
                }
            ),
            nocache="1",
        )
        assert said.image
    clean.api("POST", "/build/prune", query={"all": "1"})


def test_cve_2024_23653_no_step_gets_more_than_the_build(clean: Clients) -> None:
    refused = build(clean, "FROM busybox\nRUN --security=insecure id\n")
    assert "--security=insecure is not supported" in refused.error
    for method, path in (("POST", "/session"), ("POST", "/grpc"), ("POST", "/build/cancel")):
        assert clean.api(method, path).status in (400, 404, 501)
    assert build(clean, "FROM busybox\n", version="2").status == 501
    for option in ("seccomp=/etc/shadow", "nonsense"):
        wrong = build(clean, "FROM busybox\nRUN true\n", securityopt=option, nocache="1")
        assert wrong.status != 200 or wrong.error


def test_cve_2022_24769_a_step_has_the_capabilities_of_a_container(clean: Clients) -> None:
    """And CVE-2022-29162 and its like: nothing to inherit, nothing ambient."""
    text = "FROM busybox\nRUN echo $RANDOM; grep Cap /proc/self/status\nUSER 1000\nRUN grep Cap /proc/self/status\n"
    caps = [line.split("\t") for line in build(clean, text, nocache="1").text.splitlines() if line.startswith("Cap")]
    assert [value for name, value in caps if name in ("CapInh:", "CapAmb:")] == ["0" * 16] * 4
    bounds = {value for name, value in caps if name == "CapBnd:"}
    container = clean.out("run", "--rm", "--network", "none", "busybox", "grep", "CapBnd", "/proc/self/status")
    assert bounds == {container.split("\t")[1]}
    assert [value for name, value in caps if name == "CapEff:"][1] == "0" * 16


def test_cve_2022_2990_a_step_has_the_groups_of_its_user(clean: Clients) -> None:
    text = (
        "FROM busybox\nRUN echo 'u:x:1000:1000::/:/bin/sh' >> /etc/passwd; echo 'g:x:2000:u' >> /etc/group; "
        "echo no > /f; chmod 0704 /f; chown 0:2000 /f\nUSER u\nRUN id -G; cat /f || echo denied\n"
    )
    assert "1000 2000\n" in (said := build(clean, text, nocache="1").text) and "denied\n" in said


def test_cve_2025_47291_a_step_has_a_control_group_of_its_own(clean: Clients) -> None:
    def groups() -> str:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cmdline").read_bytes() == b"sleep\x00777\x00":
                    return (entry / "cgroup").read_text()
            except OSError:
                continue
        return ""

    text = "FROM busybox\nRUN sleep 777 & usleep 700000; kill %1\n"
    sender = threading.Thread(target=lambda: build(clean, text, nocache="1"))
    sender.start()
    found = await_true("the step runs", groups)
    sender.join()
    ours = Path("/proc/self/cgroup").read_text().splitlines()
    own = [line for line in found.splitlines() if line not in ours]
    assert own and all(re.search(r"[0-9a-f]{64}", line) for line in own), found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HEALTHCHECK CMD a", "HEALTHCHECK CMD b"),
        ("HEALTHCHECK CMD a", 'HEALTHCHECK CMD ["a"]'),
        ("HEALTHCHECK --interval=1s CMD a", "HEALTHCHECK --interval=2s CMD a"),
        ("HEALTHCHECK --start-interval=1s CMD a", "HEALTHCHECK CMD a"),
        ("ONBUILD RUN a", "ONBUILD RUN b"),
        ('SHELL ["/bin/sh", "-c"]', 'SHELL ["/bin/sh -c"]'),
        ("ARG A=1", "ARG A=2"),
        ("ENV A=1 B=2", 'ENV A="1 B=2"'),
        ("EXPOSE 1", "EXPOSE 1/udp"),
        ("USER 1", "USER 1:1"),
        ("VOLUME /a", "VOLUME /a /b"),
        ('VOLUME ["/a /b"]', "VOLUME /a /b"),
        ("STOPSIGNAL 9", "STOPSIGNAL 15"),
        ('CMD ["a b"]', 'CMD ["a", "b"]'),
        ("CMD a b", 'CMD ["a", "b"]'),
        ('ENTRYPOINT ["a b"]', 'ENTRYPOINT ["a", "b"]'),
        ("LABEL a=b", "LABEL a=b c="),
        ("WORKDIR /a", "WORKDIR /a/b"),
        ("MAINTAINER a", "MAINTAINER b"),
    ],
)
@pytest.mark.parametrize("base", ["scratch", "busybox"])
def test_cve_2024_24557_what_differs_is_no_hit(clean: Clients, base: str, one: str, other: str) -> None:
    def config(instruction: str, **query: str) -> object:
        said = build(clean, f"FROM {base}\nLABEL always=1\n{instruction}\n", **query)
        shown = clean.api("GET", f"/images/{said.image}/json").json()
        history = clean.api("GET", f"/images/{said.image}/history").json()
        return shown["Config"], shown["Author"], [line["CreatedBy"] for line in history]

    cached = [config(instruction) for _ in range(2) for instruction in (one, other)]
    fresh = [config(instruction, nocache="1") for instruction in (one, other)]
    assert cached[:2] == fresh == cached[2:] and fresh[0] != fresh[1]


def test_cve_2024_24557_a_stranger_cannot_put_something_into_the_cache(clean: Clients) -> None:
    """An image whose history says what a step would be is no cache unless somebody names it as one."""
    text = "FROM busybox\nRUN echo good > /poison\n"
    good = build(clean, text, nocache="1", t="hostile/good")
    bad = build(clean, "FROM busybox\nRUN echo bad > /poison\n", t="hostile/bad")
    packed = clean.api("GET", "/images/hostile/bad/get").body.replace(b"echo bad > /poison", b"echo good> /poison")
    assert bad.image and good.image
    clean.api("POST", "/build/prune", query={"all": "1"})
    clean.api("DELETE", "/images/hostile/good", query={"force": "1"})
    clean.api("POST", "/images/load", packed)
    again = build(clean, text)
    assert run(clean, again.image, "cat /poison") == "good\n" and again.cached == 0
    clean.api("DELETE", "/images/hostile/bad", query={"force": "1"})


def test_cve_2024_1753_a_mount_from_a_stage_is_inside_of_the_stage(clean: Clients, aim: Path) -> None:
    """CVE-2024-11218 is the same with stages that run at the same time."""
    up = "/".join([".."] * 12)
    stage = (
        f"RUN ln -s {aim} /l && ln -s {up}{aim} /m && mkdir /d && ln -s {aim}/file /d/f && ln -s / /n && echo {{}}\n"
    )
    parts = [
        f"FROM busybox AS s{n}\n{stage.format(n)}FROM busybox AS t{n}\n"
        + "".join(
            f"RUN --mount=type=bind,from=s{n},source={source},target=/x,rw ls /x; cat /x/file /x/f /x; echo > /x/new; true\n"
            for source in ("/d", f"/n{aim}", "/n/d")
        )
        + "RUN echo > /ok\n"
        for n in range(3)
    ]
    ends = "FROM busybox\n" + "".join(f"COPY --from=t{n} /ok /ok{n}\n" for n in range(3))
    for source in ("/l", "/m", "/d/f"):
        said = build(
            clean,
            f"FROM busybox AS s\n{stage.format(0)}FROM busybox\nRUN --mount=from=s,source={source},target=/x cat /x\n",
        )
        assert "file does not exist" in said.error and TOKEN not in said.text
    said = build(clean, "".join(parts) + ends)
    assert TOKEN not in said.text and ("file does not exist" in said.error or said.image)


@pytest.mark.parametrize(
    "options",
    [
        "type=bind,target=/x,bind-propagation=shared",
        "type=bind,target=/x,propagation=rshared",
        "type=bind,target=/x,relabel=shared,z",
        "type=bind,target=/x,options=rshared",
        "type=bind,target=/x,U=true",
        "type=devpts,target=/x",
        "type=bind,target=/proc",
        "type=tmpfs,target=/",
        "type=bind,target=/x,source=../../etc",
        "type=bind,target=/x,from=host",
        "type=cache,target=/x,sharing=all",
    ],
)
def test_cve_2024_9407_options_of_mounts_are_known_or_refused(clean: Clients, options: str) -> None:
    said = build(clean, context({"Dockerfile": f"FROM busybox\nRUN --mount={options} ls /x\n", "hosts": "own"}))
    assert said.error or "own" not in said.text and "passwd" not in said.text, said


@pytest.mark.parametrize("id_", ["../../../../../../etc", "/etc", "a/../../b", "..", "x\ty"])
def test_cve_2024_9675_a_cache_is_where_caches_are(scratch: Engine, id_: str) -> None:
    mount = f'RUN --mount=type=cache,target=/c,"id={id_}" ls -A /c; echo {TOKEN} > /c/mark; ls -A /c\n'
    said = build(scratch, f"FROM busybox\n{mount}", nocache="1")
    assert said.error or said.text.count("mark") >= 1 and "passwd" not in said.text
    marks = [path for path in scratch.data_root.rglob("mark") if "layers" not in path.parts and "rw" not in path.parts]
    assert all(path.parent.name == "data" and len(path.parent.parent.name) == 64 for path in marks)
    scratch.api("POST", "/build/prune", query={"all": "1"})


def test_cve_2025_4953_what_is_written_into_a_mount_stays_there(clean: Clients) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=bind,target=/ctx,rw echo changed > /ctx/f; echo new > /ctx/new; rm /ctx/g\n"
        "RUN --mount=type=bind,target=/ctx cat /ctx/f /ctx/g; ls /ctx/new; true\nCOPY f g /kept/\n"
    )
    said = build(clean, context({"Dockerfile": text, "f": "F\n", "g": "G\n"}), nocache="1")
    assert "\nF\nG\n" in said.text and "/ctx/new: No such file" in said.text
    assert run(clean, said.image, "cat /kept/f /kept/g; ls /ctx 2>/dev/null || true") == "F\nG\n"


def test_cve_2021_3602_a_step_sees_its_own_environment(clean: Clients) -> None:
    """CVE-2021-21334, CVE-2020-14370: neither the engine's nor that of a build beside it."""

    def one(number: int) -> list[str]:
        text = f"FROM busybox\nARG MINE{number}=v{number}\nENV OWN{number}=o\nRUN env | sort | sed 's/^/env /'\n"
        said = build(clean, text, nocache="1").text
        return [line.removeprefix("env ") for line in said.splitlines() if line.startswith("env ")]

    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(one, range(16))):
            names = {line.partition("=")[0] for line in found}
            wanted = {f"MINE{number}", f"OWN{number}"}
            assert wanted <= names <= wanted | {"HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"}, found


def test_cve_2022_4122_links_of_a_context_stay_in_it(clean: Clients, aim: Path, tmp_path: Path) -> None:
    """CVE-2022-4123: the file of rules and the Dockerfile are links, too."""
    text = "FROM busybox\nCOPY . /c\nRUN find /c -exec cat {} + 2>/dev/null; true\n"
    for links in ({".dockerignore": f"{aim}/file"}, {"Dockerfile": f"{aim}/file"}, {"a": str(aim), "b": f"{aim}/file"}):
        files: dict[str, str | bytes] = {} if "Dockerfile" in links else {"Dockerfile": text}
        said = build(clean, context(files, links=links))
        assert TOKEN not in said.text + said.error, said
    (tmp_path / "Dockerfile").write_text(text)
    (tmp_path / "in").symlink_to(aim)
    (tmp_path / "file").symlink_to(aim / "file")
    done = clean.scow("build", str(tmp_path))
    assert done.returncode == 0 and TOKEN not in done.stdout + done.stderr


class _Server(BaseHTTPRequestHandler):
    archive = b""
    seen: list[str]

    def do_GET(self) -> None:
        data = self.archive if self.path.endswith("context.tar") else b"fetched\n"
        self.send_response(200)
        self.send_header("Content-Disposition", 'attachment; filename="../../../../../../tmp/scowt-escaped"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Callable[[bytes], int]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()

        def port(archive: bytes = b"") -> int:
            _Server.archive = archive
            return int(made.server_address[1])

        yield port
        made.shutdown()


def test_cve_2023_26054_what_is_secret_is_nowhere(scratch: Engine, server: Callable[[bytes], int]) -> None:
    words = {
        kind: f"planted-{kind}-{os.urandom(8).hex()}" for kind in ("file", "env", "proxy", "add", "remote", "registry")
    }
    port = server(b"")
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=file --mount=type=secret,id=env,env=E "
        "test $(wc -c < /run/secrets/file) -gt 9 && test ${#E} -gt 9 && test ${#HTTP_PROXY} -gt 9\n"
        f"ADD http://u:{words['add']}@127.0.0.1:{port}/file /f\n"
    )
    server(context({"Dockerfile": text}))
    auth = {"registry.example": {"username": "u", "password": words["registry"]}}
    said = build(
        scratch,
        b"",
        remote=f"http://u:{words['remote']}@127.0.0.1:{port}/context.tar",
        buildargs={"HTTP_PROXY": f"http://u:{words['proxy']}@127.0.0.1:1"},
        headers={
            **secret_header(file=words["file"], env=words["env"]),
            "X-Registry-Config": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode(),
        },
        nocache="1",
        t="hostile/secrets",
    )
    assert said.image, said
    told = json.dumps(scratch.api("GET", "/images/hostile/secrets/history").json())
    told += json.dumps(scratch.api("GET", "/images/hostile/secrets/json").json())
    told += json.dumps(scratch.api("GET", "/system/df").json())
    packed = scratch.api("GET", "/images/hostile/secrets/get").body
    for kind, word in words.items():
        assert word not in told and word.encode() not in packed, kind
        assert holding(scratch, word) == [], kind
    scratch.api("DELETE", "/images/hostile/secrets", query={"force": "1"})


def test_cve_2026_33747_names_from_elsewhere_are_names(
    clean: Clients, server: Callable[[bytes], int], tmp_path: Path
) -> None:
    port = server(b"")
    for path in ("%2e%2e%2f%2e%2e%2ftmp%2fscowt-escaped", "a/..%2f..", "..", "%2e%2e", ".", "a%00b", "x/", "?q=/../y"):
        said = build(
            clean, f"FROM busybox\nADD http://127.0.0.1:{port}/{path} /d/\nRUN find /d; ls -A /tmp\n", nocache="1"
        )
        assert said.error or "escaped" not in said.text.partition("RUN find")[2] or "/d/scowt-escaped" in said.text
    assert not Path("/tmp/scowt-escaped").exists()
    for target in ("../x", "a/b", "-x"):
        assert build(clean, "FROM busybox\n", target=target).status == 400
    assert build(clean, "FROM busybox\n", t="../../x").status == 400


def test_cve_2020_27534_temporary_files_are_the_data_roots(scratch: Engine) -> None:
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            for fd in Path(f"/proc/{scratch.pid}/fd").iterdir():
                try:
                    seen.add(os.readlink(fd))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    files: dict[str, str | bytes] = {"big": os.urandom(8 << 20), "in.tar": context({"a": os.urandom(4 << 20)})}
    files["Dockerfile"] = "FROM busybox\nCOPY big /\nADD in.tar /d/\nRUN <<E\n#!/bin/sh\necho > /x\nE\n"
    assert build(scratch, context(files), nocache="1").image
    done.set()
    watcher.join()
    ours = [path for path in seen if path.startswith(str(scratch.base))]
    assert any("/context-" in path for path in ours)
    shared = [path for path in seen if path.startswith(("/tmp/", "/var/tmp/", "/dev/shm/")) and path not in ours]
    assert not shared
    assert (scratch.data_root / "tmp").stat().st_mode & 0o077 == 0 or scratch.data_root.stat().st_mode & 0o007 == 0


def test_cve_2014_9357_nothing_of_the_image_unpacks_an_archive(clean: Clients) -> None:
    """Nor CVE-2026-41567: programs of those names lie in the image, and leave a mark."""
    names = ("xz", "unxz", "gzip", "gunzip", "bzip2", "bunzip2", "zstd", "unzstd", "tar", "unpigz", "pigz")
    marks = " ".join(f"/usr/local/bin/{name}" for name in names)
    inner = context({"one": "1\n"})
    files: dict[str, str | bytes] = {"mark!": "#!/bin/sh\necho > /marked\n"}
    for suffix, command in (("gz", "gzip"), ("xz", "xz"), ("bz2", "bzip2"), ("zst", "zstd")):
        try:
            files[f"in.tar.{suffix}"] = subprocess.run([command, "-c"], input=inner, capture_output=True).stdout
        except FileNotFoundError:
            continue
    files["Dockerfile"] = (
        f"FROM busybox\nCOPY mark /mark\nRUN for n in {marks}; do mkdir -p /usr/local/bin; cp /mark $n; done\n"
        + "".join(f"ADD {name} /{name.split('.')[-1]}/\n" for name in files if name.startswith("in."))
    )
    image = build(clean, context(files), nocache="1").image
    found = run(clean, image, "ls /marked /*/one 2>/dev/null; true")
    assert "marked" not in found and found.count("/one") == len(files) - 2


def test_archives_that_mean_harm_harm_nothing_through_add(clean: Clients, aim: Path) -> None:
    """The corpus (CVE-2014-6407 and the others that it names) as sources of ADD: a fifth, all of it with SCOW_TEST_SOAK."""
    (aim.parent / "short").symlink_to(aim)
    cases = corpus(os.fsencode(aim))
    for case in cases if os.environ.get("SCOW_TEST_SOAK") else cases[random.randrange(5) :: 5]:
        said = build(clean, context({"Dockerfile": "FROM scratch\nLABEL a=b\nADD a.tar /\n", "a.tar": case.data}))
        assert TOKEN not in said.text and said.status in (200, 400), (case.name, said)
    assert clean.answers()


def test_cve_2024_23653_a_dockerfile_gives_itself_no_rights(clean: Clients) -> None:
    """Nor does a trigger of a base image: the network of the host is the client's to give."""
    text = "FROM busybox\nRUN --network=host true\n"
    refused = build(clean, text)
    assert refused.error == "network.host is not allowed: RUN --network=host needs a build with --network=host"
    assert not build(clean, text, networkmode="host").error
    insecure = build(clean, "FROM busybox\nRUN --security=insecure true\n")
    assert insecure.error == "RUN --security=insecure is not supported by scow"
