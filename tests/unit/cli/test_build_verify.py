"""`build --verify` in words."""

from typing import Any

from scow.cli.build_verify import lines, report

SAME = {
    "Agrees": True,
    "Expected": {"ID": "sha256:a", "Manifest": "sha256:m"},
    "Built": {"ID": "sha256:a", "Manifest": "sha256:m"},
    "Moment": 0,
    "Config": [],
    "Layers": [],
}


def layer(
    number: int, files: list[dict[str, Any]], expected: str = "x", built: str = "y", more: int = 0
) -> dict[str, Any]:
    return {
        "Number": number,
        "CreatedBy": f"step {number}",
        "Expected": expected,
        "Built": built,
        "Files": files,
        "More": more,
    }


def test_the_same() -> None:
    assert lines("web", SAME) == ["web agrees: sha256:a"]
    packed = {**SAME, "Built": {"ID": "sha256:a", "Manifest": "sha256:n"}}
    assert lines("web", packed)[1:] == ["  its layers are compressed otherwise: manifest sha256:m, built sha256:n"]
    assert report("web", packed, False) == 0


def test_not_the_same() -> None:
    mode = {"What": "mode", "Expected": "0644", "Built": "0755"}
    content = {"What": "content", "Expected": "sha256:1", "Built": "sha256:2"}
    verdict = {
        **SAME,
        "Agrees": False,
        "Built": {"ID": "sha256:b", "Manifest": "sha256:n"},
        "Moment": 1_600_000_000,
        "Config": [{"What": "created", "Expected": "then", "Built": ""}],
        "Layers": [
            layer(2, [{"Path": "/a\x1b[2J", "Deviations": [content, mode]}], more=3),
            layer(3, []),
            layer(4, [], built=""),
            layer(5, [], expected=""),
        ],
    }
    assert lines("web", verdict) == [
        "web does not agree: sha256:a, built sha256:b",
        "layer 2: step 2",
        "  /a?[2J: content, mode 0644 → 0755",
        "  and 3 more files",
        "layer 3: step 3",
        "  the same files in an archive of other bytes",
        "layer 4: step 4",
        "  missing",
        "layer 5: step 5",
        "  extra",
        "config:",
        "  created: then → nothing",
        "All its steps have one time: perhaps it was built with SOURCE_DATE_EPOCH=1600000000.",
    ]
    assert report("web", verdict, True) == 1
