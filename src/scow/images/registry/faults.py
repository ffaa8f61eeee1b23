"""What can go wrong with a registry, in the sentences that Docker's users and scripts know."""

from collections.abc import Mapping
from typing import Any

from scow.errors import Internal, NotFound, ScowError
from scow.oci.documents import InvalidDocument, load
from scow.oci.reference import Reference, valid_tag

_TEXT = 300


class RegistryFailure(Internal):
    """The registry cannot be reached, answers with an error, or wants other credentials. Docker's API says 500."""


class NoSuchManifest(NotFound):
    """The registry does not have what was asked for."""


class AccessDenied(NotFound):
    """The registry does not tell whether the repository exists."""


class TooManyRequests(RegistryFailure):
    """The registry's limit is used up, or it asks for a longer wait than is granted."""


def denied(
    reference: Reference, detail: str = "requested access to the resource is denied", actions: str = "pull"
) -> ScowError:
    """Access to the repository is refused, for pulling or (`actions` pull,push) for pushing."""
    if actions != "pull":
        return RegistryFailure(f"denied: {detail}")
    return AccessDenied(
        f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
        f"'docker login': denied: {detail}"
    )


def no_manifest(reference: Reference, detail: str = "manifest unknown: manifest unknown") -> ScowError:
    return NoSuchManifest(f"manifest for {reference.familiar} not found: {detail}")


def from_answer(
    status: int, body: bytes, reason: str, reference: Reference | None, headers: Mapping[str, str] | None = None
) -> ScowError:
    """The error that a registry's answer (status 400 and above) is. With a `reference` it is about pulling that; with
    `headers` a refusal for too many requests tells the limits.
    """
    code, message = _first_error(body)
    if reference is not None:
        if code == "DENIED" or (status == 403 and not code):
            return denied(reference, message or "requested access to the resource is denied")
        if status == 404 and code in ("", "MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"):
            return no_manifest(reference)
    if status == 401:
        return RegistryFailure(f"unauthorized: {message or 'authentication required'}")
    if status == 429:
        return TooManyRequests(f"toomanyrequests: {message or 'too many requests to registry'}{_limits(headers or {})}")
    if code:
        return RegistryFailure(f"{code.lower().replace('_', ' ')}: {message}")
    return RegistryFailure(f"received unexpected HTTP status: {status} {reason}".rstrip())


def no_tags(
    status: int, body: bytes, reason: str, reference: Reference, headers: Mapping[str, str] | None = None
) -> ScowError:
    """The error that the answer to a request for a repository's tags is."""
    code, message = _first_error(body)
    if status == 404 and code in ("", "NAME_UNKNOWN", "NOT_FOUND"):
        known = f": name unknown: {message}" if code == "NAME_UNKNOWN" else ""
        return NoSuchManifest(f"repository {reference.familiar_name} not found{known}")
    if code == "DENIED" or (status == 403 and not code):
        return denied(reference, message or "requested access to the resource is denied")
    return from_answer(status, body, reason, None, headers)


def tag_list(body: bytes) -> list[str]:
    """The tags in the answer to a request for them; what is no tag is refused."""
    tags = load(body, "tag list").get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) and valid_tag(tag) for tag in tags):
        raise InvalidDocument("tag list: tags are not a list of tags")
    return tags


def _limits(headers: Mapping[str, str]) -> str:
    """Docker Hub's limits and what is left of them, and when to come again, as far as the answer tells."""
    lower = {name.lower(): value for name, value in headers.items()}
    names = ("ratelimit-limit", "ratelimit-remaining", "retry-after")
    told = [f"{name}: {_one_line(lower[name])[:80]}" for name in names if lower.get(name)]
    return f" ({', '.join(told)})" if told else ""


def _first_error(body: bytes) -> tuple[str, str]:
    """Code and message of the first error in an answer's JSON; empty when there is none."""
    try:
        document = load(body, "error answer", 64 << 10)
    except InvalidDocument:
        return "", ""
    errors: Any = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        details = document.get("details")
        return "", details[:_TEXT] if isinstance(details, str) else ""
    code, message = first.get("code"), first.get("message")
    return (
        code[:80] if isinstance(code, str) else "",
        _one_line(message) if isinstance(message, str) else "",
    )


def _one_line(text: str) -> str:
    """Registry text that goes into messages: short, without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:_TEXT])
