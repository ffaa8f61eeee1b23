"""What programs of this machine can do, where tests depend on it."""

import subprocess
from functools import cache


@cache
def ps_works() -> bool:
    """Whether `ps -ef` works, which `top` executes: it fails on kernels whose clocks it cannot compare (user-mode Linux)."""
    return subprocess.run(["ps", "-ef"], capture_output=True).returncode == 0
