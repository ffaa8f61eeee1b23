"""The terminal that an external runtime makes: its master side comes over the socket that --console-socket names."""

import fcntl
import os
import socket
import struct
import termios

from scow.errors import StartFailure

_FD = struct.Struct("i")
_NAME_MAXIMUM = 4096
_UNIX = int(socket.AF_UNIX)
_STREAM = int(socket.SOCK_STREAM)


class Console:
    """A socket that waits for one terminal. Lifecycle: made, `path` told to a runtime, `take` after it, `close`."""

    def __init__(self, directory: int, name: str) -> None:
        self._directory, self._name = directory, name
        # by this process's own number: a path that fits into a socket's address, whatever the directory's
        self.path = f"/proc/{os.getpid()}/fd/{directory}/{name}"
        self._listener = socket.SocketType(_UNIX, _STREAM)
        try:
            self._listener.setblocking(False)
            self._listener.bind(self.path)
            self._listener.listen(1)
        except OSError:
            self._listener.close()
            raise

    def take(self, size: tuple[int, int]) -> int:
        """The terminal's master, of `size` (height, width) if that is not 0. StartFailure when none was sent."""
        try:
            with socket.socket(fileno=os.dup(self._listener.fileno())) as listener:
                peer, _ = listener.accept()
            with peer:
                peer.settimeout(5)
                flags = socket.MSG_CMSG_CLOEXEC
                _, ancillary, _, _ = peer.recvmsg(_NAME_MAXIMUM, socket.CMSG_SPACE(_FD.size), flags)
        except OSError as error:
            raise StartFailure("the runtime has not sent the terminal") from error
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                master: int = _FD.unpack(data[: _FD.size])[0]
                if all(size):
                    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
                return master
        raise StartFailure("the runtime has not sent the terminal")

    def close(self) -> None:
        self._listener.close()
        try:
            os.unlink(self._name, dir_fd=self._directory)
        except OSError:
            pass  # it goes with its directory
