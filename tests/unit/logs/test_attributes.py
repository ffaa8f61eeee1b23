"""Labels, variables and tags in log records; sentences and results of Docker 26.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import StartFailure
from scow.logs.attributes import attributes, tag

FIELDS = {"ID": "8e9c32c6bffd", "Name": "mon2", "ImageName": "debian:bookworm"}
START = "failed to create task for container: failed to initialize logging driver: "


def test_what_options_choose() -> None:
    options = {"labels": "la,lb", "env": "EA", "env-regex": "^X", "tag": "{{.Name}}/{{.ID}}/{{ .ImageName }}"}
    labels, env = {"la": "v", "lb": "2", "lc": "3"}, {"EA": "x=y", "XX": "1", "Q": "5"}
    assert attributes(options, labels=labels, env=env, fields=FIELDS) == {
        "la": "v",
        "lb": "2",
        "EA": "x=y",
        "XX": "1",
        "tag": "mon2/8e9c32c6bffd/debian:bookworm",
    }
    assert attributes({}, labels=labels, env=env, fields=FIELDS) == {}
    assert attributes({"labels-regex": "^l"}, labels=labels, env=env, fields=FIELDS) == labels


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels-regex": "["}, "error parsing regexp: missing closing ]: `[`"),
        (
            {"tag": "{{.Foo}}"},
            'template: log-tag:1:2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info',
        ),
        ({"tag": "{{.Name"}, "template: log-tag:1: unclosed action"),
    ],
)
def test_what_a_start_refuses(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(StartFailure) as caught:
        attributes(options, labels={}, env={}, fields=FIELDS)
    assert caught.value.message == START + sentence


@given(st.text(alphabet="{}.aN me", max_size=20))
def test_any_template_is_filled_or_refused(template: str) -> None:
    try:
        assert "{{" not in tag(template, FIELDS) or "{{" in template
    except StartFailure:
        pass
