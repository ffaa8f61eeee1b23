"""`python -m scow.daemon`: the daemon's process from its first line to its last."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys

from scow import background
from scow.daemon import wiring
from scow.daemon.config import Config, parse
from scow.engine.reconcile import reconcile
from scow.errors import ScowError
from scow.server.docker.app import build_app
from scow.server.listen import TlsFiles, serve

_log = logging.getLogger("scow")


def main() -> int:
    """Exit status: 0 after a signal, 1 when it could not start, 2 for bad flags."""
    try:
        config = parse(sys.argv[1:])
        _set_up_logging(config)
        asyncio.run(_run(config))
    except ScowError as error:
        sys.stderr.write(f"scow daemon: {error.message}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"scow daemon: {error.filename or ''}: {error.strerror}\n")
        return 1
    return 0


def _set_up_logging(config: Config) -> None:
    level = "debug" if config.debug else config.log_level
    names = {
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "warn": logging.WARNING,
        "error": logging.ERROR,
        "fatal": logging.CRITICAL,
    }
    logging.basicConfig(level=names[level], format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(
        signal.SIGHUP, lambda: _log.info("SIGHUP: a changed configuration needs a restart; containers go on")
    )
    parts = wiring.build(config)
    engine = parts.engine
    try:
        await engine.supervisor.start()
        await reconcile(engine)
        tls = (
            TlsFiles(config.tlscert, config.tlskey, config.tlscacert, config.tlsverify)
            if config.tls or config.tlsverify
            else None
        )
        listeners = await serve(build_app(engine, parts.front), config.hosts, group=config.group, tls=tls)
        _write_pidfile(config)
        gc.collect()
        gc.freeze()  # what is here now stays: no collection need look at it again
        _log.info("scow daemon is ready on %s", ", ".join(config.hosts))
        await stop.wait()
        _log.info("stopping; containers go on")
        await listeners.close(min(config.shutdown_timeout, 5))
    finally:
        for part in (engine.networking, engine.supervisor):
            with contextlib.suppress(ScowError):
                await part.close()
        await background.drain(2)
        parts.database.close()
        parts.event_log.close()
        if config.pidfile:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(config.pidfile)


def _write_pidfile(config: Config) -> None:
    if config.pidfile:
        with open(config.pidfile, "w", encoding="ascii") as stream:
            stream.write(f"{os.getpid()}\n")


if __name__ == "__main__":
    sys.exit(main())
