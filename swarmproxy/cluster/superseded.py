"""Containers of nodes that do not answer, which another has taken the place of: they are not shown any more."""

from swarmproxy.cluster.index import Index, Located
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.container import Container


class Superseded:
    """Keeps the index free of containers of dead nodes whose replacement is known, by their common swarm ID.

    Their names and IDs would be ambiguous, and a listing would show one container twice. One comes back into the
    index when its replacement goes: it is the only one there is then.
    Source: classic Swarm 1.2, which took a rescheduled container out of the dead engine's cache.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._hidden: dict[str, dict[Engine, Container]] = {}  # by swarm ID

    def arrived(self, engine: Engine, container: Container) -> bool:
        """Return whether `container` may be shown; what it takes the place of is not shown from now on."""
        swarm_id = container.swarm_id
        if not swarm_id:
            return True
        hidden = self._hidden.get(swarm_id, {})
        if engine in hidden and hidden[engine].id == container.id:
            if engine.state is not State.HEALTHY or self._is_on_healthy(swarm_id, container.name):
                hidden[engine] = container
                return False
            del hidden[engine]
        if engine.state is State.HEALTHY and container.is_movable:
            for each in self._index.with_swarm_id(swarm_id):
                is_copy = each.container.id != container.id and each.container.name == container.name
                if is_copy and each.engine.state is State.UNHEALTHY:
                    self.hide(each.engine, each.container)
        return True

    def hide(self, engine: Engine, container: Container) -> None:
        """Show `container` no more, for as long as another with its swarm ID is known."""
        self._index.drop(engine, container.id)
        self._hidden.setdefault(container.swarm_id, {})[engine] = container

    def lost(self, engine: Engine) -> None:
        """`engine` does not answer any more: what has a copy on one that does is shown there only."""
        for container in engine.containers.values():
            if container.is_movable and self._is_on_healthy(container.swarm_id, container.name):
                self.hide(engine, container)

    def gone(self, engine: Engine, container: Container, *, is_removed: bool) -> None:
        """`container` is no more, or not known any more; the one that it took the place of is shown again.

        If it had started and was removed, that is shown only once its node answers: its user removed both.
        """
        hidden = self._hidden.get(container.swarm_id)
        if hidden is None:
            return
        if engine in hidden and hidden[engine].id == container.id:
            del hidden[engine]
        elif not self._index.with_swarm_id(container.swarm_id):
            for other in [each for each in hidden if each.state is State.HEALTHY or not is_removed]:
                self._index.put(other, hidden.pop(other))
        if not hidden:
            del self._hidden[container.swarm_id]

    def left(self, engine: Engine) -> None:
        """Forget all that is hidden of an engine that takes part no more."""
        for swarm_id in [each for each, hidden in self._hidden.items() if engine in hidden]:
            del self._hidden[swarm_id][engine]
            if not self._hidden[swarm_id]:
                del self._hidden[swarm_id]

    def copies(self, swarm_id: str) -> list[Located]:
        """What is not shown of the containers with this swarm ID."""
        return [Located(engine, each) for engine, each in self._hidden.get(swarm_id, {}).items()]

    def on(self, engine: Engine) -> list[Container]:
        """What is not shown of `engine`."""
        return [hidden[engine] for hidden in self._hidden.values() if engine in hidden]

    def _is_on_healthy(self, swarm_id: str, name: str) -> bool:
        """Return whether a node that answers has a copy; one of another name was cloned with its labels."""
        return any(
            each.engine.state is State.HEALTHY and each.container.name == name
            for each in self._index.with_swarm_id(swarm_id)
        )
