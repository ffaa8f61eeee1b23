"""Does overlayfs work on a data root? Tried once with a mount that is never attached anywhere."""

import os
import shutil
import tempfile

from scow.linux import libc


def overlay_works(data_root: str) -> bool:
    """Whether directories below `data_root` can be the lower, upper and work directory of an overlay."""
    try:
        directory = tempfile.mkdtemp(prefix="probe-", dir=data_root)
    except OSError:
        return False
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
    except OSError:
        return False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
