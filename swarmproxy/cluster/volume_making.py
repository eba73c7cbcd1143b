"""Where a new volume is made: on the nodes that are asked for, with its project, or on all, so that any can mount it.

Source: classic Swarm 1.2, cluster/swarm/cluster.go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmproxy.cluster.asking import ask, refusal, version_for
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.projects import PROJECT, home_of
from swarmproxy.cluster.settled import reread
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineError, NotSupported, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.model.volume import LOCAL
from swarmproxy.model.volume_spec import VolumeSpec

CREATE_TIMEOUT_S = 60.0
CREATE_PATH = "/volumes/create"
CLUSTER_VOLUMES: Version = (1, 42)

_plugins = msgspec.json.Decoder(dict[str, list[str] | None] | None)
_members = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True)
class VolumeMaker:
    """Makes volumes. `rank` is the scheduler, as for containers; `new_name` gives a name to one that has none."""

    cluster: Cluster
    rank: Callable[[ContainerSpec, Sequence[Node]], Sequence[Node]]
    new_name: Callable[[], str]

    async def make(self, body: bytes, version: Version, *, nodes: Sequence[str] = ()) -> dict[str, Any]:
        """Make a volume and return the engine's own description, under the name that the client chose.

        It is made on all healthy nodes, or on those of `nodes`, of `node/name`, and that satisfy the constraints and
        whitelists in its labels. One of a compose project that says nothing of nodes is made on one, where the project
        is: on all of them, the project would find an empty one once it comes up on another. One whose driver serves
        all nodes alike is made once, and a cluster volume by the leader of the swarm. When this returns the state is
        that after the create. Raises BadRequest, NoNodeFits, NotFound and Unavailable for a node, for a cluster volume
        as `Swarms.ask_manager`, and the engines' refusals, each named.
        """
        spec = VolumeSpec.parse(body)
        if spec.of_swarm:
            return await self._of_swarm(spec, version)
        node, name = self._split(spec.name)
        sent = spec.body(name or self.new_name())
        engines = self._able(spec, [*nodes, node] if node else nodes)
        if not (node or nodes or spec.expressions.constraints or spec.expressions.whitelists) and is_of_project(spec):
            engines = [self._home(spec, engines)]

        async def create(engine: Engine) -> dict[str, Any]:
            answer = await ask(engine, version, "POST", CREATE_PATH, body=sent, timeout_s=CREATE_TIMEOUT_S)
            if answer.status >= 400:
                raise refusal(answer, CREATE_PATH)
            await reread(engine, "volumes")
            return _members.decode(answer.body)

        if spec.driver != LOCAL:
            made = await create(engines[0])
            if made.get("Scope", LOCAL) != LOCAL:
                return made | {"Name": spec.name or made.get("Name")}
        outcome = await on_all(engines, create, timeout_s=CREATE_TIMEOUT_S)
        if (error := outcome.error) is not None:
            if not outcome.done:
                raise error
            text = f"{error}\n(the other nodes have made it)"
            raise EngineError(error.status, text) if isinstance(error, EngineError) else SwarmError(text)
        made = outcome.done[0][1]
        return made | {"Name": spec.name or made.get("Name")}

    async def _of_swarm(self, spec: VolumeSpec, version: Version) -> dict[str, Any]:
        """Have the swarm make a cluster volume, which all its managers list.

        Raises as `Swarms.ask_manager`, and NotSupported.
        """
        swarms = self.cluster.swarms
        leader = swarms.managers()[0]
        if version_for(leader, version) < CLUSTER_VOLUMES:  # it would ignore what makes it one
            raise NotSupported(
                f"cluster volumes need API 1.42 of the client and of {leader.name}, which leads the swarm"
            )
        answer = await swarms.ask_manager(version, "POST", CREATE_PATH, body=spec.raw, timeout_s=CREATE_TIMEOUT_S)
        if answer.status >= 400:
            raise refusal(answer, CREATE_PATH)
        await on_all(swarms.managers(), lambda engine: reread(engine, "volumes"), timeout_s=CREATE_TIMEOUT_S)
        return _members.decode(answer.body)

    def _home(self, spec: VolumeSpec, among: Sequence[Engine]) -> Engine:
        """Return the node of the project, or the best one if it has none yet. Raises NoNodeFits."""
        if near := [engine for engine in home_of(self.cluster, spec.labels) if engine in among]:
            return near[0]
        nodes = self.cluster.nodes
        return nodes.engine(self.rank(ContainerSpec(), nodes.of(among))[0])

    def _split(self, name: str) -> tuple[str, str]:
        """Return the node that `node/name` asks for, and the volume's own name."""
        node, slash, own = name.partition("/")
        if slash and own and any(engine.name == node for engine in self.cluster.engines()):
            return node, own
        return "", name

    def _able(self, spec: VolumeSpec, nodes: Sequence[str]) -> list[Engine]:
        """Return the engines that are to have the volume. Raises as `make`, for the node and the labels."""
        engines = taking_part(self.cluster, nodes)
        if spec.driver != LOCAL and not nodes:
            engines = [engine for engine in engines if spec.driver in _drivers(engine)] or engines
        if spec.expressions.constraints or spec.expressions.whitelists:
            wanted = ContainerSpec(labels=spec.labels, expressions=spec.expressions)
            known = self.cluster.nodes
            engines = [known.engine(node) for node in self.rank(wanted, known.of(engines))]
        return sorted(engines, key=lambda engine: engine.name)


def is_of_project(spec: VolumeSpec) -> bool:
    """Return whether compose makes the volume, and each node would have its own."""
    return spec.driver == LOCAL and PROJECT in spec.labels


def _drivers(engine: Engine) -> Sequence[str]:
    """Return the volume drivers that an engine has."""
    plugins = _plugins.decode(engine.facts.plugins) if engine.facts is not None else None
    return (plugins or {}).get("Volume") or ()
