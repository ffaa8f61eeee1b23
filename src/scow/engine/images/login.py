"""Login: does a registry accept these credentials?"""

from scow.engine.context import Engine
from scow.engine.ports import Credentials


async def login(engine: Engine, credentials: Credentials) -> str:
    """The registry's identity token, or ""; Unauthenticated when refused."""
    return await engine.images.check_credentials(credentials)
