"""Names for containers that were not given one: an adjective and somebody who built or sailed ships."""

import random
import re

from scow.errors import InvalidArgument

_LEFT = (
    "able agile amber ample ardent brave breezy bright brisk calm candid clear clever cosy crisp daring deft "
    "eager early easy "
    "fair fearless fleet fond frank fresh gentle glad golden grand hale handy happy hardy honest humble jolly "
    "keen kind lively "
    "loyal lucid lucky mellow merry mighty mild modest neat nimble noble patient placid plucky polite prime "
    "proud quick quiet "
    "rapid ready robust sage serene sharp shiny silent smart snug sober solid spry stable stark steady stoic "
    "sturdy sunny sure "
    "swift tidy trim trusty upbeat vivid warm wise witty zesty"
).split()
_RIGHT = (
    "archer baltic bering binnacle blackwall bligh brunel cabot capstan caravel carrack chapman clipper "
    "cochrane columbus cook "
    "corvette cutter dampier darby davit dhow drake dreadnought dunlin eddystone elcano ericson fairlead "
    "felucca flinders "
    "fulton galleon gama grace halyard harrison hauling heyerdahl hudson hull isherwood jangbogo jason jibboom "
    "kaiwo keelson "
    "ketch knarr laperouse lateen launch lightship lovell lugger magellan mainsail maury mercator mizzen "
    "moitessier nansen "
    "nelson noah pilot pinnace plimsoll polo rickover ross sampan schooner scoresby scott sextant shackleton "
    "skiff slocum "
    "sloop spinnaker tabarly tasman thames tiller trireme tugboat vespucci vikings watt wherry windlass yawl "
    "yisunsin zhenghe"
).split()
_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_MAXIMUM = 255


def generate() -> str:
    """One of some ten thousand; the caller adds a digit when it is taken."""
    return f"{random.choice(_LEFT)}_{random.choice(_RIGHT)}"


def check(name: str) -> str:
    """The name without a leading slash, or InvalidArgument with Docker's sentence."""
    plain = name.removeprefix("/")
    if not _VALID.match(plain):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if len(plain) > _MAXIMUM:
        raise InvalidArgument(
            f"Invalid container name ({plain[:32]}…): it has {len(plain)} characters, {_MAXIMUM} are allowed"
        )
    return plain
