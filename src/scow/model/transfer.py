"""Values of image transfers: who asks a registry, and how far a transfer is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client sent in X-Registry-Auth; empty strings when not given. Never printed: repr shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, server_address={self.server_address!r}, …)"


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One progress step, Docker's words: status ("Pulling fs layer", "Downloading", "Download complete", "Extracting",
    "Pull complete", "Already exists", "Digest: …", "Status: …"), the short layer id ("" for whole-pull lines), bytes.
    """

    status: str
    id: str = ""
    current: int = 0
    total: int = 0
