"""Which extended attributes travel in layers."""


def kept(key: str) -> bool:
    """Only what describes the file itself. trusted.overlay.* would steer overlayfs, labels belong to the host."""
    if key.startswith("user."):
        return not key.startswith("user.overlay.")
    return key in ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
