"""Where a new network is made: on the node that is asked for, where its project is, or where there is most room."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.participants import taking_part
from swarmproxy.cluster.projects import home_of
from swarmproxy.cluster.settled import reread
from swarmproxy.cluster.swarms import managers
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import Conflict, NoNodeFits
from swarmproxy.model.apiversion import Version
from swarmproxy.model.network import PREDEFINED
from swarmproxy.model.network_spec import BRIDGE, OVERLAY, NetworkSpec
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.wire.fetch import Answer

Default = Literal["auto", "bridge", "overlay"]

CREATE_TIMEOUT_S = 60.0

_ALWAYS_UNIQUE = (1, 44)  # from this version on a daemon refuses a second network of one name unasked
_plugins = msgspec.json.Decoder(dict[str, Any] | None)


@dataclass(slots=True)
class NetworkMaker:
    """Makes networks. `rank` is the scheduler, as for containers; `default` is the driver of those that ask for none.

    `auto` is an attachable overlay where all members that answer form one swarm, else a bridge on one node, to which
    every container that joins it goes: so a compose project works on plain engines, each project on a node.
    """

    cluster: Cluster
    rank: Callable[[ContainerSpec, Sequence[Node]], Sequence[Node]]
    default: Default = "auto"
    _in_flight: dict[Engine, int] = field(default_factory=dict)

    async def make(self, body: bytes, version: Version, *, nodes: Sequence[str] = ()) -> Answer:
        """Make a network, on one of `nodes` if any are named, and return what its engine said.

        Its state has been read then. Raises BadRequest, Conflict for a name that is taken, NotFound and Unavailable
        for one of `nodes`, NoNodeFits, EngineUnreachable.
        """
        spec = NetworkSpec.parse(body)
        asked, name = self._node_of(spec.name)
        if nodes and not asked:
            asked = taking_part(self.cluster, nodes)
        sent: dict[str, object] = {} if name == spec.name else {"Name": name}
        if not spec.driver and not spec.config_only and not spec.config_from:
            spec = replace(spec, driver=self._default_driver())
            sent["Driver"] = spec.driver
            if spec.driver == OVERLAY:
                sent["Attachable"] = True
        unique = spec.check_duplicate or version >= _ALWAYS_UNIQUE
        held = f"{asked[0].id}/{name}" if len(asked) == 1 else name
        with self.cluster.networks.making(held) if unique else nullcontext():
            if unique:
                self._refuse_duplicate(name, asked)
            engine = self._choose(spec, asked)
            self._in_flight[engine] = self._in_flight.get(engine, 0) + 1
            try:
                body = spec.body(**sent) if sent else body
                answer = await ask(engine, version, "POST", "/networks/create", body=body, timeout_s=CREATE_TIMEOUT_S)
                if answer.status < 400:
                    await reread(engine, "networks")
            finally:
                self._in_flight[engine] -= 1
                if not self._in_flight[engine]:
                    del self._in_flight[engine]
        return answer

    def _node_of(self, name: str) -> tuple[list[Engine], str]:
        """Return the node that `node/name` asks for, and the network's own name. Names may hold slashes themselves."""
        node, slash, own = name.partition("/")
        if slash and own:
            engines = [engine for engine in self.cluster.engines() if engine.name == node]
            if engines:
                return engines, own
        return [], name

    def _default_driver(self) -> str:
        if self.default == "auto":
            return OVERLAY if self.cluster.swarms.form_one(self.cluster.healthy()) else BRIDGE
        return self.default

    def _refuse_duplicate(self, name: str, asked: Sequence[Engine]) -> None:
        """Raise Conflict if the name is taken: on the node that is asked for, or anywhere if none is."""
        if name in PREDEFINED:
            return  # every engine has it, and refuses another one in its own words
        for held in self.cluster.networks.named(name):
            if not asked or not held.network.is_local or held.engines[0] in asked:
                raise Conflict(f"network with name {name} already exists")

    def _choose(self, spec: NetworkSpec, asked: Sequence[Engine]) -> Engine:
        """Return the best node for a network. Raises NoNodeFits. Synchronous: make it before any await."""
        wanted = ContainerSpec(labels=spec.labels, expressions=spec.expressions)
        among = self._able(spec, asked)
        homes = [] if spec.driver == OVERLAY or asked else home_of(self.cluster, spec.labels)
        if near := [engine for engine in among if engine in homes]:
            try:
                return self._best(wanted, near)
            except NoNodeFits:  # it cannot be with its project
                pass
        return self._best(wanted, among)

    def _able(self, spec: NetworkSpec, asked: Sequence[Engine]) -> list[Engine]:
        """Return the healthy engines that can make the network: all others would refuse."""
        engines = [engine for engine in self.cluster.healthy() if not asked or engine in asked]
        if spec.driver == OVERLAY or spec.scope == "swarm":
            engines = managers(engines) or engines
        elif spec.driver:
            engines = [engine for engine in engines if spec.driver in _drivers(engine)] or engines
        if spec.config_from:
            holders = {engine for held in self.cluster.networks.named(spec.config_from) for engine in held.engines}
            engines = [engine for engine in engines if engine in holders] or engines
        if asked and not engines:
            raise NoNodeFits(f"the node {asked[0].name} that is to have the network does not answer")
        return engines

    def _best(self, wanted: ContainerSpec, among: Sequence[Engine]) -> Engine:
        """Return the engine that the scheduler puts first, where each network counts as a container to come."""
        nodes = self.cluster.nodes
        counted = [  # without labels: what is to come takes no slots
            replace(node, labels={}, containers=node.containers + self._networks_on(nodes.engine(node)))
            for node in self.rank(wanted, nodes.of(among))
        ]
        return nodes.engine(self.rank(ContainerSpec(), counted)[0])

    def _networks_on(self, engine: Engine) -> int:
        made = sum(not each.is_predefined and each.is_local for each in engine.networks.values())
        return made + self._in_flight.get(engine, 0)


def _drivers(engine: Engine) -> Sequence[str]:
    """Return the network drivers that an engine has."""
    plugins = _plugins.decode(engine.facts.plugins) if engine.facts is not None else None
    return (plugins or {}).get("Network") or ()
