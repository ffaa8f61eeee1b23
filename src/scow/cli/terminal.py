"""The terminal that we run in: whether there is one, its size, raw mode."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def is_terminal(fd: int) -> bool:
    """Whether a descriptor is a terminal; a closed one is not."""
    try:
        return posix.isatty(fd)
    except OSError:
        return False


def size(fd: int = 1) -> tuple[int, int]:
    """(height, width), zeros when the descriptor is no terminal."""
    try:
        columns, lines = posix.get_terminal_size(fd)
    except (OSError, ValueError):
        return 0, 0
    return lines, columns


def width() -> int:
    """The columns to wrap at: the terminal's, 80 when there is none."""
    return size(1)[1] or 80


def raw(fd: int) -> Callable[[], None]:
    """Puts a terminal into raw mode; the function given back restores it."""
    import termios

    before = termios.tcgetattr(fd)
    iflag, oflag, cflag, lflag, ispeed, ospeed, cc = before
    iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
    iflag &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
    oflag &= ~termios.OPOST
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = (cflag & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    cc = [*cc]
    cc[termios.VMIN] = 1
    cc[termios.VTIME] = 0
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, ispeed, ospeed, cc])

    def restore() -> None:
        termios.tcsetattr(fd, termios.TCSANOW, before)

    return restore
