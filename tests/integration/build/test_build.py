"""Builds as a client of the API sees them."""

import base64
import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.harness.clients import Clients
from tests.harness.contexts import build, context, run

pytestmark = pytest.mark.root


def test_the_dialogue_is_the_classic_builders(clean: Clients) -> None:
    said = build(clean, 'FROM busybox\nRUN echo out; echo err >&2\nCMD ["sh"]\n', t="b/one", nocache="1")
    lines = said.text.split("\n")
    base = clean.api("GET", "/images/busybox/json").json()["Id"][7:19]
    assert lines[:3] == ["Step 1/3 : FROM busybox", f" ---> {base}", "Step 2/3 : RUN echo out; echo err >&2"]
    name = lines[3].removeprefix(" ---> Running in ")
    assert len(name) == 12
    assert {"out", "\x1b[91merr", f"\x1b[0m ---> Removed intermediate container {name}"} <= set(lines)
    assert lines[-3:] == [f"Successfully built {said.image[7:19]}", "Successfully tagged b/one:latest", ""]
    shown = clean.api("GET", "/images/b/one/json").json()
    assert (shown["Id"], shown["Config"]["Cmd"]) == (said.image, ["sh"])


def test_a_failing_step_says_its_code_and_leaves_no_image(clean: Clients) -> None:
    before = len(clean.api("GET", "/images/json", query={"all": "1"}).json())
    said = build(clean, "FROM busybox\nRUN exit 3\n", t="b/fails")
    assert said.error == "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    assert said.code == 3
    assert len(clean.api("GET", "/images/json", query={"all": "1"}).json()) == before
    assert clean.api("GET", "/containers/json", query={"all": "1"}).json() == []


@pytest.mark.parametrize(
    ("dockerfile", "query", "status", "error"),
    [
        ("FROM busybox\nFOO x\n", {}, 400, "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)"),
        ("", {}, 400, "the Dockerfile (Dockerfile) cannot be empty"),
        ("FROM busybox\n", {"dockerfile": "other"}, 500, "Cannot locate specified Dockerfile: other"),
        ("FROM busybox\n", {"target": "no"}, 400, 'target stage "no" could not be found'),
        ("FROM busybox\n", {"shmsize": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("FROM scratch\n", {}, 200, "No image was generated. Is your Dockerfile empty?"),
        (
            "FROM busybox\nCOPY no /\n",
            {},
            200,
            "COPY failed: file not found in build context or excluded by .dockerignore: stat no: file does not exist",
        ),
        ("FROM busybox\nCOPY no* /\n", {}, 200, "COPY failed: no source files were specified"),
        ("FROM busybox\nCOPY ../a /\n", {}, 200, "COPY failed: forbidden path outside the build context: ../a ()"),
        ("FROM busybox\nCOPY --from=9 a /\n", {}, 200, "invalid from flag value 9: index out of bounds"),
        ("FROM busybox\nUSER nosuch\nRUN true\n", {}, 200, "unable to find user nosuch: no matching entries in passwd file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_docker_says_it(
    clean: Clients, dockerfile: str, query: dict[str, str], status: int, error: str
) -> None:
    said = build(clean, dockerfile, **query)
    assert (said.status, said.error) == (status, error)


def test_files_are_copied_by_dockers_rules(clean: Clients) -> None:
    archive = context(
        {
            "Dockerfile": (
                "FROM busybox\n"
                "RUN mkdir -p /l/real && ln -s real /l/link && ln -s /nowhere /l/dangle\n"
                "COPY d /l/link\nCOPY a /l/dangle\nCOPY a /new/dir/\nCOPY --chown=5:6 d /owned\n"
                "COPY lnk /followed\nCOPY a* d /many/\nCOPY --chmod=600 a /mode\n"
            ),
            "a!": "A\n",
            "ab": "AB\n",
            "d/sub/f": "F\n",
        },
        links={"lnk": "a", "d/up": "../../etc/passwd"},
    )
    image = build(clean, archive).image
    shown = run(clean, image, "cd /; find l new owned many nowhere followed mode | sort | xargs stat -c '%n %A %u:%g'")
    assert shown.split("\n") == [
        "followed -rwxr-xr-x 0:0", "l drwxr-xr-x 0:0", "l/dangle lrwxrwxrwx 0:0", "l/link lrwxrwxrwx 0:0",
        "l/real drwxr-xr-x 0:0", "l/real/sub drwxr-xr-x 0:0", "l/real/sub/f -rw-r--r-- 0:0", "l/real/up lrwxrwxrwx 0:0",
        "many drwxr-xr-x 0:0", "many/a -rwxr-xr-x 0:0", "many/ab -rw-r--r-- 0:0", "many/sub drwxr-xr-x 0:0",
        "many/sub/f -rw-r--r-- 0:0", "many/up lrwxrwxrwx 0:0", "mode -rw------- 0:0", "new drwxr-xr-x 0:0",
        "new/dir drwxr-xr-x 0:0", "new/dir/a -rwxr-xr-x 0:0", "nowhere -rwxr-xr-x 0:0", "owned drwxr-xr-x 5:6",
        "owned/sub drwxr-xr-x 5:6", "owned/sub/f -rw-r--r-- 5:6", "owned/up lrwxrwxrwx 5:6", "",
    ]  # fmt: skip


def test_what_is_linked_follows_no_link_below_and_is_the_same_layer_on_any_base(clean: Clients) -> None:
    def on(setup: str) -> str:
        text = f"FROM busybox\nRUN {setup}\nCOPY --link a /l/a\n"
        return build(clean, context({"Dockerfile": text, "a": "A\n"})).image

    one, other = on("mkdir /away && ln -s away /l"), on("echo other > /other")
    assert run(clean, one, "cat /l/a; ls /away; test -h /l || echo no link") == "A\nno link\n"
    layers = [clean.api("GET", f"/images/{image}/json").json()["RootFS"]["Layers"] for image in (one, other)]
    assert layers[0][-1] == layers[1][-1]
    refused = build(clean, "FROM scratch\nADD --keep-git-dir=true Dockerfile /x\n")
    assert refused.error == "ADD --keep-git-dir is for git repositories only"


def test_what_is_excluded_is_left_out_of_single_files_too(clean: Clients) -> None:
    text = "FROM busybox\nCOPY --exclude=*.txt a* /d/\n"
    image = build(clean, context({"Dockerfile": text, "a.txt": "T\n", "a.md": "M\n"})).image
    assert run(clean, image, "ls /d") == "a.md\n"


def test_a_cache_elsewhere_is_refused_by_name(clean: Clients) -> None:
    refused = build(clean, "FROM scratch\n", cachefrom=["type=gha"])
    assert "type=gha" in refused.error + refused.text and refused.status == 501


def test_output_is_clipped_where_nobody_could_read_it(clean: Clients) -> None:
    said = build(clean, "FROM busybox\nRUN yes 0123456789012345678901234567890123456789 | head -c 20000000\n")
    assert said.image and "[output clipped]" in said.text and len(said.text) < 18 << 20


def test_a_context_leads_nowhere(clean: Clients) -> None:
    """CVE-2019-13139's kin: links of the context stay in the context, whoever follows them."""
    archive = context({"Dockerfile": "FROM busybox\nCOPY out /x\n"}, links={"out": "/etc/shadow"})
    assert "file not found in build context" in build(clean, archive).error
    archive = context({"Dockerfile": "FROM busybox\nCOPY out/hostname /x\n"}, links={"out": "/../../etc"})
    assert "file not found in build context" in build(clean, archive).error


def test_the_cache_goes_by_content(clean: Clients) -> None:
    dockerfile = "FROM busybox\nENV A=1\nCOPY a /a\nRUN date +%N > /when\nLABEL l=1\n"
    first = build(clean, context({"Dockerfile": dockerfile, "a": "x"}, mtime=1000))
    touched = build(clean, context({"Dockerfile": dockerfile, "a": "x"}, mtime=2000))
    assert (touched.cached, touched.image) == (4, first.image)
    changed = build(clean, context({"Dockerfile": dockerfile, "a": "y"}, mtime=1000))
    assert (changed.cached, changed.image != first.image) == (1, True)
    assert build(clean, context({"Dockerfile": dockerfile, "a": "x"}), nocache="1").cached == 0
    # what the files and the variables do not depend on does not count either
    other = dockerfile.replace("ENV A=1\n", "ENV A=1\nLABEL early=1\n")
    assert " ---> Using cache\n" in build(clean, context({"Dockerfile": other, "a": "x"})).text.split("RUN date")[1]


def test_the_same_inputs_make_the_same_image(clean: Clients) -> None:
    dockerfile = "FROM busybox\nCOPY . /c\nRUN touch /now && mkdir /d && hostname > /host\nWORKDIR /w\n"
    stamp = {"SOURCE_DATE_EPOCH": "1700000000"}
    made = [
        build(clean, context({"Dockerfile": dockerfile, "f": "x"}, mtime=mtime), nocache="1", buildargs=stamp).image
        for mtime in (5, 1_800_000_000)
    ]
    assert made[0] == made[1]
    assert run(clean, made[0], "stat -c %Y /now /d /w /c/f").split() == ["1700000000"] * 4
    assert clean.api("GET", f"/images/{made[0]}/json").json()["Created"] == "2023-11-14T22:13:20Z"


def test_stages_that_are_not_needed_are_not_built(clean: Clients) -> None:
    said = build(
        clean,
        "FROM busybox AS a\nRUN echo one > /f\nFROM busybox AS unused\nRUN exit 1\nFROM busybox\nCOPY --from=a /f /g\n",
    )
    assert "Step 4/4 : COPY --from=a /f /g" in said.text
    assert run(clean, said.image, "cat /g") == "one\n"
    target = build(clean, "FROM busybox AS a\nRUN echo one > /f\nFROM busybox AS b\nRUN exit 1\n", target="A")
    assert run(clean, target.image, "cat /f") == "one\n"


def test_stages_run_at_the_same_time(clean: Clients) -> None:
    """Each waits for the other by a cache mount that both see: one after the other would never end."""
    wait = "i=0; while [ ! -e /c/{other} ] && [ $i -lt 200 ]; do i=$((i+1)); sleep 0.05; done; test -e /c/{other}"
    stage = "RUN --mount=type=cache,target=/c,id=meet-{key} touch /c/{own}; " + wait
    said = build(
        clean,
        "FROM busybox AS a\n"
        + stage.format(own="a", other="b", key="x")
        + "\nRUN echo 1 >/1\nFROM busybox AS b\n"
        + stage.format(own="b", other="a", key="x")
        + "\nRUN echo 2 >/2\nFROM busybox\nCOPY --from=a /1 /\nCOPY --from=b /2 /\n",
        nocache="1",
    )
    assert run(clean, said.image, "cat /1 /2") == "1\n2\n"
    assert said.text.index("FROM busybox AS a") < said.text.index("echo 1 >/1") < said.text.index("FROM busybox AS b")
    clean.api("POST", "/build/prune")


def test_arguments_and_their_scope(clean: Clients) -> None:
    dockerfile = (
        "ARG TAG=latest\nARG OUT=o\nFROM busybox:$TAG\nARG A=1\nARG OUT\nENV E=$A$OUT\n"
        "RUN echo $A $E $HTTP_PROXY > /f\nLABEL x=${A:-none} y=${B:-none}\n"
    )
    said = build(clean, dockerfile, buildargs={"A": "2", "HTTP_PROXY": "http://p", "UNKNOWN": "z"})
    assert run(clean, said.image, "cat /f") == "2 2o http://p\n"
    shown = clean.api("GET", f"/images/{said.image}/json").json()["Config"]
    assert shown["Labels"] == {"x": "2", "y": "none"}
    history = clean.api("GET", f"/images/{said.image}/history").json()
    assert not any("http://p" in line["CreatedBy"] for line in history)
    assert history[1]["CreatedBy"].startswith("|2 A=2 OUT=o /bin/sh -c echo")
    assert "[Warning] One or more build-args [UNKNOWN] were not consumed\n" in said.text


def test_triggers_of_the_base_run_once(clean: Clients) -> None:
    build(clean, "FROM busybox\nONBUILD RUN echo trigger > /t\n", t="b/base")
    said = build(clean, "FROM b/base\nRUN cat /t\n")
    assert "# Executing 1 build trigger\n" in said.text and "trigger\n" in said.text
    assert clean.api("GET", f"/images/{said.image}/json").json()["Config"]["OnBuild"] is None


def test_mounts_of_a_step(clean: Clients) -> None:
    dockerfile = (
        "FROM busybox AS s\nRUN mkdir /o && echo stage > /o/f\nFROM busybox\n"
        "RUN --mount=type=bind,source=d,target=/ctx cat /ctx/x && ! touch /ctx/no\n"
        "RUN --mount=type=bind,from=s,source=/o,target=/st,rw cat /st/f && touch /st/g\n"
        "RUN --mount=type=tmpfs,target=/t grep ' /t tmpfs ' /proc/mounts\n"
        "RUN --mount=type=cache,target=/c,id=test-mounts echo x >> /c/f\n"
        "RUN --mount=type=cache,target=/c,id=test-mounts cat /c/f && ls /ctx /st /t /c 2>&1 | grep -c 'No such'\n"
    )
    said = build(clean, context({"Dockerfile": dockerfile, "d/x": "from the context\n"}), nocache="1")
    assert "from the context\n" in said.text and "stage\n" in said.text and "\n3\n" in said.text, said
    assert run(clean, said.image, "ls / | grep -c -x -e ctx -e st -e t -e c || true") == "0\n"
    clean.api("POST", "/build/prune")


def test_a_secret_is_nowhere(clean: Clients) -> None:
    secrets = {"tok": base64.b64encode(b"hunter2").decode(), "env": base64.b64encode(b"hunter3").decode()}
    header = {"X-Scow-Build-Secrets": base64.b64encode(json.dumps(secrets).encode()).decode()}
    dockerfile = (
        "FROM busybox\nRUN --mount=type=secret,id=tok,required=true --mount=type=secret,id=env,env=T "
        "sha256sum /run/secrets/tok; echo ${#T}; stat -c '%a %u' /run/secrets/tok\n"
    )
    said = build(clean, dockerfile, headers=header)
    assert "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7  /run/secrets/tok\n7\n400 0\n" in said.text
    assert run(clean, said.image, "ls /run 2>&1; env").count("hunter") == 0
    assert "hunter" not in json.dumps(clean.api("GET", f"/images/{said.image}/history").json())
    missing = build(clean, dockerfile, nocache="1")
    assert missing.error == "secret tok: not found"


def test_documents_and_archives(clean: Clients) -> None:
    inner = context({"one": "1\n", "two/three": "3\n"})
    dockerfile = (
        "FROM busybox\nENV N=name\nCOPY <<a <<'b' /docs/\nhello $N\na\nhello $N\nb\n"
        "RUN <<E\necho first\necho second\nE\n"
        "ADD in.tar /unpacked/\nCOPY in.tar /kept/\nRUN cat /docs/a /docs/b /unpacked/one /unpacked/two/three; ls /kept\n"
    )
    said = build(clean, context({"Dockerfile": dockerfile, "in.tar": inner}), nocache="1")
    assert "first\nsecond\n" in said.text
    assert "hello name\nhello $N\n1\n3\nin.tar\n" in said.text, said


def test_quiet_says_the_id_alone_unless_it_fails(clean: Clients) -> None:
    said = build(clean, "FROM busybox\nRUN echo quiet\n", q="1")
    assert said.text.startswith("sha256:") and said.text.count("\n") == 1
    failed = build(clean, "FROM busybox\nRUN echo loud; exit 1\n", q="1")
    assert "loud\n" in failed.text and failed.code == 1


def test_the_cache_is_shown_and_pruned(clean: Clients) -> None:
    clean.api("POST", "/build/prune", query={"all": "1"})
    build(clean, "FROM busybox\nRUN echo 12345678 > /cached\nRUN exit 1\n")
    found = clean.api("GET", "/system/df").json()["BuildCache"]
    assert [(item["Description"], item["Size"], item["Shared"]) for item in found] == [
        ("/bin/sh -c echo 12345678 > /cached", 9, False)
    ]
    wrong = clean.api("POST", "/build/prune", query={"filters": '{"bla":["x"]}'})
    assert (wrong.status, "bla" in wrong.message) == (400, True)
    kept = clean.api("POST", "/build/prune", query={"keep-storage": "1000"}).json()
    assert kept == {"CachesDeleted": None, "SpaceReclaimed": 0}
    wrong = clean.api("POST", "/build/prune", query={"max-used-space": "-1"})
    assert (wrong.status, wrong.message) == (400, "max-used-space is in bytes and cannot be -1")
    for spaces in ({"min-free-space": "1"}, {"max-used-space": "9"}, {"reserved-space": "9", "max-used-space": "1"}):
        assert clean.api("POST", "/build/prune", query=spaces).json()["CachesDeleted"] is None
    flags = ("--max-used-space", "8B", "--min-free-space", "1KB")
    pruned = clean.scow("builder", "prune", "-f", *flags, check=True).stdout.splitlines()
    assert pruned == ["Deleted build cache objects:", found[0]["ID"], "", "Total reclaimed space: 9B"]
    assert clean.api("GET", "/system/df").json()["BuildCache"] == []


def test_both_command_lines_build(clean: Clients, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("context")
    (root / "Dockerfile").write_text("FROM busybox\nCOPY . /c\nRUN ls -A /c\n")
    (root / "kept").write_text("x")
    (root / "left.log").write_text("x")
    (root / ".dockerignore").write_text("*.log\n")
    own = clean.scow("build", "-t", "b/own", "--iidfile", str(root / "iid.log"), str(root))
    assert own.returncode == 0 and ".dockerignore\nDockerfile\nkept\n" in own.stdout, own
    image = (root / "iid.log").read_text()
    assert clean.api("GET", "/images/b/own/json").json()["Id"] == image
    docker = clean.docker("build", "-q", str(root), env={"DOCKER_BUILDKIT": "0"})
    assert docker.stdout.strip() == image, docker
    failed = clean.scow("build", "-", input="FROM busybox\nRUN exit 7\n")
    assert (failed.returncode, failed.stderr) == (7, "The command '/bin/sh -c exit 7' returned a non-zero code: 7\n")


def test_an_image_lends_its_layers(clean: Clients) -> None:
    dockerfile = "FROM busybox\nENV A=1\nCOPY a /a\nRUN date +%N > /when\n"
    first = build(clean, context({"Dockerfile": dockerfile, "a": "x"}), t="b/lender")
    clean.api("POST", "/build/prune", query={"all": "1"})
    assert clean.api("GET", "/system/df").json()["BuildCache"] == []
    again = build(clean, context({"Dockerfile": dockerfile, "a": "x"}), cachefrom=["no/such", "b/lender"])
    assert (again.cached, again.image) == (3, first.image)
    clean.api("POST", "/build/prune", query={"all": "1"})
    other = build(clean, context({"Dockerfile": dockerfile, "a": "y"}), cachefrom=["b/lender"])
    assert other.cached == 1


def test_a_step_of_two_builds_runs_once(clean: Clients) -> None:
    dockerfile = "FROM busybox\nRUN echo $RANDOM$RANDOM > /once; sleep 1\n"
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: build(clean, dockerfile), range(2))
    assert one.image == other.image
    assert sorted((one.cached, other.cached)) == [0, 1]


def test_a_context_from_a_url(clean: Clients) -> None:
    archive = gzip.compress(context({"Dockerfile": "FROM busybox\nADD URL/file /f\nRUN cat /f; stat -c %a /f\n"}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = {"/context.tar.gz": archive, "/Dockerfile": b"FROM busybox\nRUN echo alone\n", "/file": b"fetched\n"}
            self.send_response(200 if self.path in data else 404)
            self.end_headers()
            self.wfile.write(data.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        archive = gzip.compress(
            context({"Dockerfile": f"FROM busybox\nADD {url}/file /f\nRUN cat /f; stat -c %a /f\n"})
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert "fetched\n600\n" in build(clean, b"", remote=f"{url}/context.tar.gz").text
        assert "alone\n" in build(clean, b"", remote=f"{url}/Dockerfile").text
        assert "404" in build(clean, b"", remote=f"{url}/nothing").error
        server.shutdown()
