"""What can go wrong with a registry, in the sentences that Docker's users and scripts know."""

from typing import Any

from scow.errors import Internal, NotFound, ScowError
from scow.oci.documents import InvalidDocument, load
from scow.oci.reference import Reference

_TEXT = 300


class RegistryFailure(Internal):
    """The registry cannot be reached, answers with an error, or wants other credentials. Docker's API says 500."""


class NoSuchManifest(NotFound):
    """The registry does not have what was asked for."""


class AccessDenied(NotFound):
    """The registry does not tell whether the repository exists."""


def denied(reference: Reference, detail: str = "requested access to the resource is denied") -> ScowError:
    return AccessDenied(
        f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
        f"'docker login': denied: {detail}"
    )


def no_manifest(reference: Reference, detail: str = "manifest unknown: manifest unknown") -> ScowError:
    return NoSuchManifest(f"manifest for {reference.familiar} not found: {detail}")


def from_answer(status: int, body: bytes, reason: str, reference: Reference | None) -> ScowError:
    """The error that a registry's answer (status 400 and above) is."""
    code, message = _first_error(body)
    if reference is not None:
        if code == "DENIED" or (status == 403 and not code):
            return denied(reference, message or "requested access to the resource is denied")
        if status == 404 and code in ("", "MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"):
            return no_manifest(reference)
    if status == 401:
        return RegistryFailure(f"unauthorized: {message or 'authentication required'}")
    if status == 429:
        return RegistryFailure(f"toomanyrequests: {message or 'too many requests to registry'}")
    if code:
        return RegistryFailure(f"{code.lower().replace('_', ' ')}: {message}")
    return RegistryFailure(f"received unexpected HTTP status: {status} {reason}".rstrip())


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
