"""The content store, where it is used by several at once."""

import threading
import time
from pathlib import Path

import pytest

from scow.images import blobs
from scow.images.blobs import BlobStore, Ingest
from scow.oci.digest import Digest

DATA = b"some bytes"
DIGEST = Digest.of(DATA)


def test_what_broke_off_is_not_removed_from_under_who_takes_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, taken = BlobStore(str(tmp_path)), list[Ingest]()
    broken = store.partial(DIGEST, 100)
    broken.write(b"some")
    broken.close(keep=True)
    remove, other = blobs._unlink, threading.Thread(target=lambda: taken.append(store.partial(DIGEST, 100)))

    def late(path: str) -> None:
        other.start()
        time.sleep(0.05)
        remove(path)

    monkeypatch.setattr(blobs, "_unlink", late)
    assert store.forget_older(0.0) == len(b"some")
    other.join()
    (ingest,) = taken
    assert ingest.kept == 0
    assert store.forget_older(0.0) == 0  # it is somebody's now
    ingest.write(DATA)
    ingest.commit(DIGEST)
    ingest.close()
    assert store.read(DIGEST, 100) == DATA
