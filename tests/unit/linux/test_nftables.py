"""The nft program, by a stand-in."""

from pathlib import Path

import pytest

from scow.linux import nftables


def test_a_crash_of_nft_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nft"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(nftables.RulesetError, match="nft was ended by signal 11"):
        nftables.load("table inet x {}\n")
