"""The nft program, by a stand-in that crashes."""

from pathlib import Path

import pytest

from scow.linux import nftables


def stand_in(directory: Path, monkeypatch: pytest.MonkeyPatch, crashes: int) -> Path:
    """An nft that ends by SIGSEGV that often, then takes its script."""
    told = directory / "told"
    program = directory / "nft"
    program.write_text(
        f'#!/bin/sh\necho x >> {told}\n[ "$(wc -l < {told})" -le {crashes} ] && kill -SEGV $$\ncat > {directory}/script\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return told


def test_a_crash_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stand_in(tmp_path, monkeypatch, crashes=3)
    nftables.load("table inet x {}\n")
    assert (tmp_path / "script").read_text() == "table inet x {}\n" and len(told.read_text().split()) == 4


def test_what_always_crashes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stand_in(tmp_path, monkeypatch, crashes=1000)
    with pytest.raises(nftables.RulesetError, match="nft ended with status -11"):
        nftables.load("x")
    assert len(told.read_text().split()) == 8
