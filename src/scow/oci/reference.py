"""Image references: Docker's grammar (github.com/distribution/reference) and its short names.

    reference = name [ ":" tag ] [ "@" digest ]      name = [ domain "/" ] path

A name without a domain means docker.io, and there without a slash library/. Hand-written, linear and without
imports, because the CLI parses references on its hot path and clients send hostile ones.
"""

from scow.errors import InvalidArgument
from scow.oci.digest import Digest, InvalidDigest, is_hex

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LENGTH = 255
TAG_LENGTH = 128

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HOST = _ALNUM | {"-"}
_WORD = _ALNUM | {"_"}
_TAG = _WORD | {".", "-"}
_DIGITS = frozenset("0123456789")
_IPV6 = frozenset("0123456789abcdefABCDEF:")
_LONGEST = NAME_LENGTH + TAG_LENGTH + 200 + 2


class InvalidReference(InvalidArgument):
    """Text that should name an image does not follow the grammar."""


class Reference:
    """A parsed, normalised reference. Immutable and hashable; two spellings of one name are equal."""

    __slots__ = ("domain", "path", "tag", "digest")

    domain: str
    path: str
    tag: str | None
    digest: Digest | None

    def __init__(self, domain: str, path: str, tag: str | None = None, digest: Digest | None = None) -> None:
        """For parts that are valid already; text from outside goes through `parse`."""
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "tag", tag)
        object.__setattr__(self, "digest", digest)

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that `text` means. InvalidReference carries Docker's sentence."""
        if not text or len(text) > _LONGEST:
            raise InvalidReference("invalid reference format")
        if len(text) == 64 and is_hex(text):
            raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split_domain(text)
        remote = remainder.partition(":")[0]
        if remote != remote.lower():
            raise InvalidReference(f"invalid reference format: repository name ({remote}) must be lowercase")
        named, at, digest_text = remainder.partition("@")
        path, colon, tag = named.partition(":")
        if not _valid_domain(domain) or not _valid_path(path) or (colon and not valid_tag(tag)):
            raise InvalidReference("invalid reference format")
        if len(domain) + 1 + len(path) > NAME_LENGTH:
            raise InvalidReference(f"repository name must not be more than {NAME_LENGTH} characters")
        return cls(domain, path, tag if colon else None, _parse_digest(digest_text) if at else None)

    @property
    def name(self) -> str:
        """The full name without tag and digest: docker.io/library/nginx."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as users write it: nginx, someone/app, 127.0.0.1:5000/app."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        first, _, rest = self.path.partition("/")
        return rest if first == "library" and rest and "/" not in rest else self.path

    @property
    def familiar(self) -> str:
        """`familiar_name` with what the reference has of tag and digest."""
        return self.familiar_name + self._suffix()

    def with_default_tag(self) -> "Reference":
        """Itself, or tagged `latest` when it has neither tag nor digest."""
        return self if self.tag is not None or self.digest is not None else self.with_tag(DEFAULT_TAG)

    def with_tag(self, tag: str) -> "Reference":
        """The same name with this tag and no digest."""
        if not valid_tag(tag):
            raise InvalidReference("invalid tag format")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: Digest) -> "Reference":
        """The same name with this digest and no tag."""
        return Reference(self.domain, self.path, None, digest)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag is not None else "") + (f"@{self.digest}" if self.digest is not None else "")

    def __str__(self) -> str:
        return self.name + self._suffix()

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Reference is immutable: {name}")


def valid_tag(tag: str) -> bool:
    """Whether `tag` is a word character followed by at most 127 word characters, dots and dashes."""
    return 0 < len(tag) <= TAG_LENGTH and tag[0] in _WORD and _TAG.issuperset(tag)


def _split_domain(text: str) -> tuple[str, str]:
    """Domain and remainder; what comes before the first slash is a domain only when it looks like a host."""
    first, slash, rest = text.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    domain, remainder = (first, rest) if is_host else (DEFAULT_DOMAIN, text)
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = "library/" + remainder
    return domain, remainder


def _valid_domain(domain: str) -> bool:
    if domain.startswith("["):
        address, bracket, port_text = domain[1:].partition("]")
        if not bracket or not address or not _IPV6.issuperset(address):
            return False
        return not port_text or (port_text[0] == ":" and _valid_port(port_text[1:]))
    host, colon, port = domain.partition(":")
    if colon and not _valid_port(port):
        return False
    return all(label and _HOST.issuperset(label) and label[0] != "-" and label[-1] != "-" for label in host.split("."))


def _valid_port(text: str) -> bool:
    return bool(text) and _DIGITS.issuperset(text)


def _valid_path(path: str) -> bool:
    return all(_valid_component(component) for component in path.split("/"))


def _valid_component(component: str) -> bool:
    """Lower-case letters and digits, parted by one dot, one or two underscores, or any number of dashes."""
    if not component or component[0] not in _LOWER or component[-1] not in _LOWER:
        return False
    separator = ""
    for character in component:
        if character in _LOWER:
            separator = ""
            continue
        separator += character
        if separator not in (".", "_", "__") and separator.strip("-"):
            return False
        if character not in "._-":
            return False
    return True


def _parse_digest(text: str) -> Digest:
    """A digest of a reference: what is no digest at all spoils the reference, a bad length has its own sentence."""
    algorithm, _, digits = text.partition(":")
    if not algorithm or not algorithm[0].isalpha() or len(digits) < 32 or not is_hex(digits.lower()):
        raise InvalidReference("invalid reference format")
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise InvalidReference(error.message) from None
