"""Log options: what is accepted, and Docker 26.1's sentences for what is not."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument, StartFailure
from scow.logs.validation import JsonFileOptions, parse_json_file, parse_size, validate

START = "failed to create task for container: failed to initialize logging driver: "


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("json-file", {"foo": "bar"}, "unknown log opt 'foo' for json-file log driver"),
        ("json-file", {"foo": "1", "aaa": "2"}, "unknown log opt 'aaa' for json-file log driver"),
        ("json-file", {"mode": "foo"}, "logger: logging mode not supported: foo"),
        (
            "json-file",
            {"mode": "non-blocking", "max-buffer-size": "x"},
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        ("json-file", {"cache-disabled": "x"}, "invalid value for option cache-disabled: x"),
        ("nosuch", {}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
    ],
)
def test_what_create_refuses(driver: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validate(driver, options)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("none", {"max-size": "1k"}),
        ("json-file", {"max-size": "abc"}),  # found out when it starts
        ("json-file", {"mode": "non-blocking", "max-buffer-size": "4m"}),
        ("json-file", {"labels": "a", "env": "b", "labels-regex": "^a", "env-regex": "^b", "tag": "{{.ID}}"}),
    ],
)
def test_what_create_accepts(driver: str, options: dict[str, str]) -> None:
    validate(driver, options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max-size": "abc"}, "invalid size: 'abc'"),
        ({"max-size": "-1"}, "invalid size: '-1'"),
        ({"max-size": ""}, "invalid size: ''"),
        ({"max-size": "1x"}, "invalid size: '1x'"),
        ({"max-size": "0"}, "max-size must be a positive number"),
        ({"max-size": "9999999999999999999"}, "max-size must be a positive number"),
        ({"max-size": "1k", "max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "-1"}, "max-file cannot be less than 1"),
        ({"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"max-file": "2.5"}, 'strconv.Atoi: parsing "2.5": invalid syntax'),
        ({"max-file": ""}, 'strconv.Atoi: parsing "": invalid syntax'),
        ({"compress": "yes"}, 'strconv.ParseBool: parsing "yes": invalid syntax'),
        ({"compress": "true"}, "compress cannot be true when max-file is less than 2 or max-size is not set"),
        (
            {"compress": "true", "max-size": "1k", "max-file": "1"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
    ],
)
def test_what_start_refuses(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(StartFailure) as caught:
        parse_json_file(options)
    assert caught.value.message == START + sentence


def test_values() -> None:
    options = {"max-size": "10M", "max-file": "007", "compress": "T"}
    assert parse_json_file(options) == JsonFileOptions(10 << 20, 7, True)
    assert parse_json_file({"max-file": "3"}) == JsonFileOptions(0, 3, False)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10", 10),
        ("10b", 10),
        ("1k", 1024),
        ("1kb", 1024),
        ("1KiB", 1024),
        ("1Ki", 1024),
        ("1.5k", 1536),
        ("2 g", 2 << 30),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_size(text), int)
    except ValueError as error:
        assert str(error) == f"invalid size: '{text}'"


@given(st.dictionaries(st.sampled_from(["max-size", "max-file", "compress", "mode", "x"]), st.text(max_size=8)))
def test_any_options_are_accepted_or_refused(options: dict[str, str]) -> None:
    for check, kind in ((partial(validate, "json-file"), InvalidArgument), (parse_json_file, StartFailure)):
        try:
            check(options)
        except kind as error:
            assert error.message
