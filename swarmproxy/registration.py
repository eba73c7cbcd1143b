"""An address that is kept on the discovery service: that of an engine, or of a manager."""

import asyncio

from discovery import Backend, DiscoveryError, DiscoveryRefusedError, Entry

SILENT = "the discovery service does not answer"


async def register(backend: Backend, entry: Entry, timeout_s: float) -> str:
    """Return why `entry` could not be registered or renewed, "" if it was. Raises DiscoveryRefusedError."""
    try:
        async with asyncio.timeout(timeout_s):
            await backend.register(entry)
    except DiscoveryRefusedError:
        raise
    except DiscoveryError as error:
        return str(error)
    except TimeoutError:
        return SILENT
    return ""


async def unregister(backend: Backend, entry: Entry, timeout_s: float) -> str:
    """Return why `entry` could not be taken away, "" if it was; it ends with its TTL then."""
    try:
        async with asyncio.timeout(timeout_s):
            await backend.unregister(entry)
    except (DiscoveryError, TimeoutError) as error:
        return str(error) or SILENT
    return ""
