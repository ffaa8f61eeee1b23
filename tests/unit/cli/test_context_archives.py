"""Contexts as archives: what is written, what is read, and what is refused whole."""

import errno
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli import context_store
from scow.cli.command import Exit
from scow.cli.context_archive import MOST, pack, unpack
from tests.unit.cli.test_comfort import Run, scow

__all__ = ["scow"]

META = b'{"Name":"a"}'
names = st.text("abc.-_", min_size=1, max_size=20).filter(lambda name: name.strip("."))


@given(st.binary(max_size=600), st.dictionaries(names, st.dictionaries(names, st.binary(max_size=1200), min_size=1)))
def test_what_is_packed_comes_back(meta: bytes, files: dict[str, dict[str, bytes]]) -> None:
    archive = pack(meta, files)
    assert unpack(archive) == (meta, files)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames()[:2] == ["meta.json", "tls"] and tar.getmember("tls").mode == 0o700
        for endpoint, named in files.items():
            for name, content in named.items():
                stream = tar.extractfile(f"tls/{endpoint}/{name}")
                assert stream is not None and stream.read() == content


@given(st.binary(max_size=3000))
def test_any_bytes_are_a_context_or_refused(data: bytes) -> None:
    for head in (b"", b"PK\x03\x04", pack(META, {"docker": {"ca.pem": b"x"}})[:1500]):
        try:
            unpack(head + data)
        except Exit as refused:
            assert refused.code == 1 and refused.message


def test_docker_leaves_the_end_out() -> None:
    """Its archives end with the last file's last byte. What ends before that is cut off."""
    whole = pack(META, {"docker": {"key.pem": b"k" * 700}})
    end = whole.rindex(b"k") + 1
    assert unpack(whole[:end]) == (META, {"docker": {"key.pem": b"k" * 700}})
    for cut in (end - 1, end - 188, end - 189, end - 600, 520):
        with pytest.raises(Exit):
            unpack(whole[:cut])


def tar(*members: tuple[str, bytes, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


FILE = tarfile.REGTYPE


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "invalid context: no metadata found"),
        (tar(("tls/docker/x", FILE, b"")), "invalid context: no metadata found"),
        (tar(("meta.json", FILE, META), ("other", FILE, b"")), "other: unexpected context file"),
        (tar(("meta.json", FILE, META), ("tls/../../x", FILE, b"")), "leads out of the archive"),
        (tar(("meta.json", FILE, META), ("tls/x", FILE, b"")), "archive format is invalid"),
        (tar(("meta.json", FILE, META), ("tls/a/b/c", FILE, b"")), "archive format is invalid"),
        (tar(("meta.json", FILE, META), ("tls/a/b\\c", FILE, b"")), "unexpected"),
        (tar(*((f"tls/a/{number}", FILE, b"") for number in range(1001))), "read exceeds the defined limit"),
        (bytes(MOST + 1), "read exceeds the defined limit"),
        (zipped(("tls/../../x", b"")), "tls/../../x: unexpected path format"),
        (zipped(("/etc/x", b"")), "/etc/x: unexpected context file"),
        (zipped(("tls/a/b", bytes(MOST + 1))), "read exceeds the defined limit"),
        (zipped(*((f"tls/a/{number}", b"") for number in range(1001))), "read exceeds the defined limit"),
        (zipped(("meta.json", META))[:-5], "not a valid zip file"),
    ],
)
def test_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(Exit) as caught:
        unpack(data)
    assert sentence in caught.value.message


def test_links_are_passed_over() -> None:
    data = tar(("meta.json", FILE, META), ("tls/a/link", tarfile.SYMTYPE, b""), ("tls/a/pipe", tarfile.FIFOTYPE, b""))
    assert unpack(data) == (META, {})
    assert unpack(zipped(("meta.json", META), ("tls/", b""), ("tls/a/b", b"x"))) == (META, {"a": {"b": b"x"}})


def test_out_and_in(scow: Run, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("CA")
    scow("context", "create", "one", "--docker", f"host=tcp://h:2376,ca={tmp_path}/ca", "--description", "mine")
    file = tmp_path / "one.dockercontext"
    done = scow("context", "export", "one", str(file))
    assert (done.stdout, done.stderr) == ("", f'Written file "{file}"\n') and file.stat().st_mode & 0o777 == 0o600
    again = scow("context", "export", "one", str(file))
    assert again.returncode == 1 and again.stderr == f"open {file}: file exists\n"
    taken = scow("context", "import", "one", str(file))
    assert taken.stderr == 'context "one" already exists\n'
    done = scow("context", "import", "two", str(file))
    assert (done.stdout, done.stderr) == ("two\n", 'Successfully imported context "two"\n')
    one, two = json.loads(scow("context", "inspect", "one", "two").stdout)
    assert {**one, "Name": "two", "Storage": two["Storage"]} == two
    assert (Path(two["Storage"]["TLSPath"]) / "docker/ca.pem").read_text() == "CA"
    bad = tmp_path / "bad.tar"
    bad.write_bytes(pack(b"[]", {"docker": {"ca.pem": b"x"}}))
    refused = scow("context", "import", "three", str(bad))
    assert refused.stderr == "json: cannot unmarshal array into Go value of type store.Metadata\n"
    assert len(list((tmp_path / "contexts/tls").iterdir())) == 2  # nothing of it is kept
    rows = scow("context", "ls", "-q").stdout.split()
    assert rows == ["default", "one", "two"]


@pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI")
def test_with_dockers_cli(scow: Run, tmp_path: Path) -> None:
    """Each reads what the other has written."""
    (tmp_path / "ca").write_text("C" * 700)

    def docker(*args: str) -> "subprocess.CompletedProcess[str]":
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
        return subprocess.run(["docker", *args], capture_output=True, text=True, env=env, timeout=60, check=True)

    scow("context", "create", "one", "--docker", f"host=tcp://h:2376,ca={tmp_path}/ca", "--description", "mine")
    assert scow("context", "export", "one", str(tmp_path / "scow.tar")).returncode == 0
    docker("context", "import", "two", str(tmp_path / "scow.tar"))
    docker("context", "export", "two", str(tmp_path / "docker.tar"))
    assert scow("context", "import", "three", str(tmp_path / "docker.tar")).returncode == 0
    one, two, three = json.loads(docker("context", "inspect", "one", "two", "three").stdout)
    for other in (two, three):
        assert {**one, "Name": other["Name"], "Storage": other["Storage"]} == other
        assert (Path(other["Storage"]["TLSPath"]) / "docker/ca.pem").read_text() == "C" * 700


def test_a_full_disk_leaves_the_keys_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = context_store.Store(SimpleNamespace(config_dir=str(tmp_path)))  # type: ignore[arg-type]
    meta = {"Name": "one", "Metadata": {}, "Endpoints": {}}
    old = {"docker": {"ca.pem": b"old", "key.pem": b"old key"}}
    store.save(meta, old)
    replace_file = context_store.replace_file

    def full(path: str, data: bytes, mode: int) -> None:
        if path.endswith("/key.pem"):
            raise OSError(errno.ENOSPC, "no space left on device")
        replace_file(path, data, mode)

    with monkeypatch.context() as patch:
        patch.setattr(context_store, "replace_file", full)
        with pytest.raises(OSError):
            store.save(meta, {"docker": {"ca.pem": b"new", "key.pem": b"new key"}})
    assert store.tls_content("one") == old and len(list((tmp_path / "contexts/tls").iterdir())) == 1
    for new in ({"docker": {"cert.pem": b"new"}}, {}):
        store.save(meta, new)
        assert store.tls_content("one") == new
