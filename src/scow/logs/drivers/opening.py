"""From a driver's name and options to the driver."""

from collections.abc import Mapping

from scow.errors import StartFailure, Unsupported
from scow.logs.drivers import Driver
from scow.logs.drivers.discard import Discard
from scow.logs.drivers.jsonfile import JsonFile
from scow.logs.validation import parse_json_file


def open_driver(driver: str, path: str, options: Mapping[str, str], attributes: Mapping[str, str]) -> Driver:
    """The driver, its file open. Raises StartFailure with Docker's sentence when options or the file do not allow it."""
    if driver == "none":
        return Discard()
    if driver == "json-file":
        parsed = parse_json_file(options)
        try:
            return JsonFile(path, attributes, parsed)
        except OSError as error:
            reason = (error.strerror or "cannot be opened").lower()
            raise StartFailure(
                f"failed to create task for container: failed to initialize logging driver: open {path}: {reason}"
            ) from error
    raise Unsupported(f"log driver {driver} is not supported")
