"""Does overlayfs work on a data root? Tried once with a mount that is never attached anywhere."""

import errno
import os
import shutil
import tempfile

from scow.linux import libc

_FEATURES = ("index", "metacopy", "redirect_dir")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def features() -> tuple[str, ...]:
    """Mount options against what a host may have made overlayfs's default, as far as its kernel knows them.

    A redirect or a file without its content in an upper directory means nothing without the layers below, so no layer can
    be made of it; an index binds the upper directory to one set of lower directories for ever.
    """
    return tuple(f"{name}=off" for name in _FEATURES if os.path.exists(f"/sys/module/overlay/parameters/{name}"))


def overlay_works(data_root: str) -> bool:
    """Whether directories below `data_root` can be the lower, upper and work directory of an overlay.

    A full disk tells nothing: then it is assumed, lest a daemon that starts there copies images for the rest of its life.
    """
    try:
        directory = tempfile.mkdtemp(prefix="probe-", dir=data_root)
    except OSError as error:
        return error.errno in _FULL
    try:
        for name in ("lower", "upper", "work"):
            os.mkdir(f"{directory}/{name}")
        context = libc.fsopen("overlay")
        try:
            libc.fsconfig_string(context, "lowerdir", f"{directory}/lower")
            libc.fsconfig_string(context, "upperdir", f"{directory}/upper")
            libc.fsconfig_string(context, "workdir", f"{directory}/work")
            libc.fsconfig_create(context)
            os.close(libc.fsmount(context))
        finally:
            os.close(context)
        os.setxattr(f"{directory}/upper", "trusted.overlay.opaque", b"y")
        return True
    except OSError as error:
        return error.errno in _FULL
    finally:
        shutil.rmtree(directory, ignore_errors=True)
