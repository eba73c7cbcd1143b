"""Every container of the cluster by what a client may call it: id, unique prefix, name, `node/name`, swarm id."""

from collections.abc import Iterator

from swarmproxy.cluster.newest import Located, Newest
from swarmproxy.cluster.ordered import Ordered
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, Conflict, NotFound
from swarmproxy.model.container import Container
from swarmproxy.model.names import few_of

__all__ = ["Index", "Located"]

SHORT_ID_LENGTH = 12


class Index:
    """Containers of all engines, kept ready on each change so that a look-up never scans the cluster."""

    def __init__(self) -> None:
        self.by_id: dict[str, Located] = {}
        self._ids: Ordered[str] = Ordered()
        self._swarm_ids: dict[str, tuple[str, ...]] = {}  # one as a rule, and a set would take far more memory
        self._sorted_swarm_ids: Ordered[str] = Ordered()
        self._names: dict[str, tuple[str, ...]] = {}
        self.newest = Newest()  # only to be read
        self._slots: dict[str, tuple[str, ...]] = {}  # `web.1`: all tasks that were its first

    def __len__(self) -> int:
        return len(self.by_id)

    def put(self, engine: Engine, container: Container) -> None:
        """Take a container in, or what became of one."""
        before = self.by_id.get(container.id)
        if before is not None and (
            before.container.names != container.names
            or before.container.created_ns != container.created_ns
            or before.container.swarm_id != container.swarm_id
        ):
            self.drop(before.engine, container.id)
            before = None
        located = self.by_id[container.id] = Located(engine, container)
        if before is not None:
            self.newest.replace(located)
            return
        self.newest.add(located)
        self._ids.put(container.id)
        for name in container.names:
            _add(self._names, name.lstrip("/"), container.id)
        if slot := container.slot:
            _add(self._slots, slot, container.id)
        if swarm_id := container.swarm_id:
            if swarm_id not in self._swarm_ids:
                self._sorted_swarm_ids.put(swarm_id)
            _add(self._swarm_ids, swarm_id, container.id)

    def drop(self, engine: Engine, container_id: str) -> Container | None:
        """Forget a container of `engine` and return it; None if it was not there, or is another engine's."""
        located = self.by_id.get(container_id)
        if located is None or located.engine is not engine:
            return None
        del self.by_id[container_id]
        container = located.container
        self._ids.take(container_id)
        self.newest.remove(container)
        for name in container.names:
            _discard(self._names, name.lstrip("/"), container_id)
        if slot := container.slot:
            _discard(self._slots, slot, container_id)
        if swarm_id := container.swarm_id:
            _discard(self._swarm_ids, swarm_id, container_id)
            if swarm_id not in self._swarm_ids:
                self._sorted_swarm_ids.take(swarm_id)
        return container

    def touch(self, engine: Engine) -> None:
        """Take note that something about `engine` has changed that a listing shows: its name, or whether it answers."""
        for container_id in engine.containers:
            located = self.by_id.get(container_id)
            if located is not None and located.engine is engine:
                self.newest.touch(located.container)

    def newest_first(self) -> Iterator[Located]:
        """All containers in the order of a listing: latest created first, then by id."""
        return iter(self.newest)

    def holders_of(self, name: str) -> list[Located]:
        """The containers that have `name` (no slash in front); more than one where engines were used directly."""
        return [self.by_id[container_id] for container_id in sorted(self._names.get(name, ()))]

    def with_swarm_id(self, swarm_id: str) -> list[Located]:
        """The containers with this swarm ID: several while one moves, or when a node has come back with its own."""
        return [self.by_id[container_id] for container_id in sorted(self._swarm_ids.get(swarm_id, ()))]

    def doubled(self) -> list[str]:
        """The swarm IDs that several containers have."""
        return [swarm_id for swarm_id, ids in self._swarm_ids.items() if len(ids) > 1]

    def find(self, text: str) -> Located:
        """The one container a client means by `text`.

        In this order: full or 12-character id, swarm id, name, `node/name` or `engine id/name`, a service's task
        (`web.1`, or `web.1.` and the first letters of the task's id), unique id prefix.
        Raises NotFound, Conflict for a name that several containers have, BadRequest for such a prefix.
        Source: classic Swarm 1.2 §container look-up, with its silent "not found" for an ambiguous name mended.
        """
        if located := self.by_id.get(text):
            return located
        if len(text) == SHORT_ID_LENGTH:
            short = self._with_prefix(self._ids, text)
            if len(short) == 1:
                return self.by_id[short[0]]
        for swarm_id in (text, *self._short_swarm_id(text)):
            if (same := self.with_swarm_id(swarm_id)) and (one := _as_one(same)):
                return one
        if named := self._by_name(text.removeprefix("/")):
            if one := _as_one(named):
                return one
            titles = few_of(f"{each.title} ({each.container.id[:SHORT_ID_LENGTH]})" for each in named)
            raise Conflict(f"container name {text} is ambiguous: it may be {titles}")
        if task := self._task(text.removeprefix("/")):
            return task
        found = self._with_any_prefix(text)
        if len(found) > 1:
            titles = ", ".join(sorted(self.by_id[each].title for each in found))
            raise BadRequest(f"multiple IDs found with provided prefix: {text} ({titles})")
        if not found:
            raise NotFound(f"No such container: {text}")
        return self.by_id[next(iter(found))]

    def _short_swarm_id(self, text: str) -> list[str]:
        if len(text) != SHORT_ID_LENGTH:
            return []
        return self._with_prefix(self._sorted_swarm_ids, text)

    def _by_name(self, text: str) -> list[Located]:
        if held := self.holders_of(text):
            return held
        found: dict[str, Located] = {}
        # a node's name holds no slash, but an engine id with a unix address does: try every cut
        cut = text.find("/")
        while cut > 0:
            node, name = text[:cut], text[cut + 1 :].lstrip("/")
            for each in self.holders_of(name):
                if node in (each.engine.name, each.engine.id):
                    found[each.container.id] = each
            cut = text.find("/", cut + 1)
        return list(found.values())

    def _task(self, text: str) -> Located | None:
        """Return the task that is `text` now: of several that run, one on a node that answers, and the latest.

        While a node is cut off, or an update starts a task before it ends the former, a slot has two of them: the
        swarm means the latest. Letters that several tasks begin with are nobody's.
        """
        slot, start = (text, "") if text in self._slots else (text.rpartition(".")[0], text)
        tasks = [self.by_id[each] for each in self._slots.get(slot, ())]
        found = [each for each in tasks if each.container.name.startswith(start)]
        running = [each for each in found if each.container.is_running]
        running = [each for each in running if each.engine.state is State.HEALTHY] or running
        if start and len(running) > 1:
            titles = ", ".join(sorted(each.title for each in running))
            raise Conflict(f"task {text} is ambiguous: it may be {titles}")
        return max(running or found, key=lambda each: (each.container.created_ns, each.container.id), default=None)

    def _with_any_prefix(self, text: str) -> set[str]:
        if not text:
            return set()
        found = set(self._with_prefix(self._ids, text, most=3))
        for swarm_id in self._with_prefix(self._sorted_swarm_ids, text, most=3):
            found.update(self._swarm_ids[swarm_id])
        return found

    @staticmethod
    def _with_prefix(ordered: Ordered[str], prefix: str, *, most: int = 2) -> list[str]:
        return [each for each in ordered.start(prefix, most) if each.startswith(prefix)]


def _as_one(found: list[Located]) -> Located | None:
    """Return the one that is meant if `found` are one container to its user: it, or that which runs of one that moves.

    None if they are several.
    """
    if len(found) > 1:
        identities = {(each.container.swarm_id, each.container.name) for each in found}
        if len(identities) > 1 or not found[0].container.swarm_id:
            return None
    return max(found, key=lambda each: (each.engine.state is State.HEALTHY, *_progress(each.container)))


def _progress(container: Container) -> tuple[bool, bool, int]:
    return container.is_running, container.started_ns > 0, container.created_ns


def _add(groups: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    group = groups.get(key, ())
    if member not in group:
        groups[key] = (*group, member)


def _discard(groups: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    group = tuple(each for each in groups.get(key, ()) if each != member)
    if group:
        groups[key] = group
    else:
        groups.pop(key, None)
