"""Registry credentials of containers that may move: their image may have to be pulled again, by nobody's request."""

from collections import OrderedDict

MOST = 4096
LENGTH_LIMIT = 16 * 1024


class Credentials:
    """X-Registry-Auth headers by the swarm ID of the container that they were given for.

    They are in this process's memory and nowhere else: never logged, never written, and gone with the container. Of
    too many, those that were used the longest ago go.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<{len(self)} credentials>"

    def keep(self, swarm_id: str, auth: str) -> None:
        """Keep `auth` for a container; one that is longer than any real one is not kept."""
        if not auth or len(auth) > LENGTH_LIMIT:
            return
        self._kept[swarm_id] = auth
        self._kept.move_to_end(swarm_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def of(self, swarm_id: str) -> str:
        """Return what was given for a container; empty if nothing was."""
        if swarm_id in self._kept:
            self._kept.move_to_end(swarm_id)
        return self._kept.get(swarm_id, "")

    def forget(self, swarm_id: str) -> None:
        """Forget what was given for a container that is no more."""
        self._kept.pop(swarm_id, None)
