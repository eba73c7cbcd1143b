"""One member daemon: accepted, followed, refreshed and watched for as long as discovery lists it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from swarmproxy.engine.client import EngineClient
from swarmproxy.engine.events import Follower
from swarmproxy.engine.health import Health, State
from swarmproxy.engine.inventory import Inventory, Usage
from swarmproxy.engine.observer import Observer
from swarmproxy.engine.refresh import Refresher
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.engine.shared import Place, Shared
from swarmproxy.engine.validate import Facts, Identity, NotAnEngine, Skew, identify
from swarmproxy.errors import EngineUnreachable, SwarmError
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event
from swarmproxy.model.holdings import Holdings
from swarmproxy.model.image import Image
from swarmproxy.model.network import Network
from swarmproxy.model.platform import platform_of
from swarmproxy.model.volume import Volume
from swarmproxy.wire.address import Address
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.tls import RenewableContext

__all__ = ["Claim", "Engine", "Facts", "Observer", "State", "Usage"]

log = logging.getLogger("swarmproxy.engine")

CLOSE_TIMEOUT_S = 5.0

Claim = Callable[["Engine", Facts], str | None]  # why an engine may not take part; None if it may


class Engine:
    """A daemon at an address of discovery's list. `run` does everything; the rest is there to be read."""

    def __init__(
        self,
        address: Address,
        *,
        settings: EngineSettings,
        tls: RenewableContext | None = None,
        observer: "Observer[Engine]",
        claim: Claim | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._shared = shared = shared or Shared()
        self.address = address
        self.facts: Facts | None = None  # what it last said of itself, also when it was not accepted
        self.is_member = False  # accepted: from the claim until it ends or turns out to be another one
        self.on_change: Callable[[], None] = lambda: None  # called when anything that placements look at has changed
        self.on_swarm: Callable[[], None] = lambda: None  # called when its part in a swarm is another one
        self._settings = settings
        self._observer = observer
        self._claim = claim or (lambda _engine, _facts: None)
        self._skew = Skew(address)
        self._warned_labels: tuple[str, ...] = ()
        self._another: asyncio.Future[None]  # fails when another engine answers at the address
        self._follower: Follower | None = None
        self._health = health = Health(settings, self._state_changed, lambda: self.on_change(), shared.wheel)
        self.pool = Pool(address, tls=tls, connect_timeout_s=settings.step_timeout_s, all_idle=shared.idle)
        self.client = EngineClient(
            address, self.pool, settings, on_answer=health.note_success, on_failure=health.note_failure
        )
        self._inventory = Inventory(
            seen=lambda container: observer.container_seen(self, container),
            gone=lambda container_id: observer.container_gone(self, container_id),
            images_read=lambda before: observer.images_read(self, before),
            networks_read=lambda before: observer.networks_read(self, before),
            volumes_read=lambda before: observer.volumes_read(self, before),
            changed=lambda: self.on_change(),
        )
        self._refresher = Refresher(
            str(address),
            self.client,
            self._inventory,
            settings,
            read_specs=self._read_specs,
            circumstances=lambda: (self._skew.ns, self.facts.ip if self.facts else ""),
            tally=shared.tally,
        )
        self.changes = self._refresher.changes  # of containers, by requests that are on their way

    # -- what is known

    @property
    def id(self) -> str:
        """`daemon id|address`, as classic has it; empty until known."""
        return f"{self.facts.id}|{self.address}" if self.facts else ""

    @property
    def name(self) -> str:
        """The daemon's name, its host's as a rule; empty until known."""
        return self.facts.name if self.facts else ""

    @property
    def title(self) -> str:
        """How a message names it: by its address until its name is known."""
        return self.name or str(self.address)

    @property
    def platform(self) -> str:
        """What it runs, such as linux/amd64; empty until known."""
        return platform_of(self.facts.os_type, self.facts.arch) if self.facts else ""

    @property
    def state(self) -> State:
        """Whether it takes part and answers."""
        return self._health.state

    @property
    def error(self) -> str:
        """Why it is Pending or Unhealthy, or what went wrong last; empty if all is well."""
        return self._health.error

    @property
    def updated_at(self) -> float:
        """When it last answered, in unix seconds; 0 if never."""
        return self._health.updated_at

    @property
    def refreshed_at(self) -> float:
        """When its containers were listed last, by the monotonic clock; 0 if never."""
        return self._refresher.refreshed_at

    @property
    def failures(self) -> int:
        """How often in a row it could not be reached."""
        return self._health.failures

    @property
    def health(self) -> int:
        """0 (takes no containers) to 100 (no failures)."""
        return self._health.indicator

    @property
    def containers(self) -> dict[str, Container]:
        """Its containers by ID. Only to be read."""
        return self._inventory.containers

    @property
    def images(self) -> dict[str, Image]:
        """Its images by ID. Only to be read."""
        return self._inventory.images

    @property
    def networks(self) -> Mapping[str, Network]:
        """Its networks by ID. Another mapping after each change."""
        return self._inventory.networks

    @property
    def volumes(self) -> Mapping[str, Volume]:
        """Its volumes by name. Another mapping after each change."""
        return self._inventory.volumes

    @property
    def holdings(self) -> Holdings:
        """Its containers as placements look them up. Only to be read."""
        return self._inventory.holdings

    @property
    def image_names(self) -> frozenset[str]:
        """Every text that means one of its images."""
        return self._inventory.image_names

    @property
    def usage(self) -> Usage:
        """What its containers ask for in sum, kept ready. Only to be read."""
        return self._inventory.usage

    @property
    def revision(self) -> int:
        """A number that rises whenever containers, images or facts change."""
        return self._inventory.revision

    @property
    def skew_ns(self) -> int:
        """Our clock less the engine's; 0 while they agree within two seconds."""
        return self._skew.ns

    # -- what others tell it and ask of it

    def note_failure(self, error: SwarmError) -> None:
        """Count a failure to reach the engine; any other error changes nothing."""
        self._health.note_failure(error)

    def note_success(self) -> None:
        """Take note that the engine answered a request that was passed on."""
        self._health.note_success()

    async def refresh_container(self, container_id: str, *, begun_will_do: bool = False) -> Container | None:
        """Read a container now and return it; None if it has gone. The observer has been told then.

        Raises as `Changes.read`, EngineError or ProtocolViolation.
        """
        return await asyncio.shield(self.changes.read(container_id, begun_will_do=begun_will_do))

    async def refresh_containers(self, *, full: bool = True) -> None:
        """Read the list of containers now, and inspect all (`full`) or the new and changed ones.

        Raises as `refresh_container`.
        """
        if not self.is_member:
            raise EngineUnreachable(f"engine {self.address} is not a member of the cluster")
        await self._refresher.sync(full=full)

    def forget_container(self, container_id: str) -> None:
        """Drop a container whose removal the engine has confirmed."""
        self._inventory.drop(container_id)  # what is being read of it must not bring it back

    async def refresh_specs(self) -> None:
        """Read what the engine says of itself now. Raises as `refresh_container`."""
        await asyncio.shield(self._refresher.specs.ask(""))

    async def refresh_images(self) -> None:
        """Read the list of images now. Raises as `refresh_container`."""
        await asyncio.shield(self._refresher.images.ask(""))

    async def refresh_networks(self) -> None:
        """Read the list of networks now. Raises as `refresh_container`."""
        await asyncio.shield(self._refresher.networks.ask(""))

    async def refresh_volumes(self) -> None:
        """Read the list of volumes now. Raises as `refresh_container`."""
        await asyncio.shield(self._refresher.volumes.ask(""))

    async def refresh_lists(self) -> None:
        """Read images, networks and volumes now. Raises as `refresh_container`."""
        await self._refresher.read_lists()

    # -- its life

    async def run(self) -> None:
        """Accept the engine, follow and refresh it until cancelled; never ends by itself.

        When it returns, no task and no connection is left, and the observer knows it Disconnected.
        """
        refused, said = 0, ""
        try:
            while True:
                reason = await self._take_part()
                if self.state is not State.PENDING:
                    refused = 0
                self._leave(reason)
                if reason != said:
                    said = reason
                    log.warning("Failed to validate pending node", extra={"addr": str(self.address), "error": reason})
                wait_s = min(self._settings.retry_min_s * 2 ** min(refused, 16), self._settings.retry_max_s)
                refused += 1
                await asyncio.sleep(jittered(wait_s))
        finally:
            self.is_member = False
            self._health.enter(State.DISCONNECTED, "the engine has left the cluster")
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.client.close()
                    await self.pool.close()

    async def _take_part(self) -> str:
        """Validate the engine and serve it for as long as it stays the same one; return why that ended."""
        place = await self._shared.gate.enter()
        try:
            identity = await identify(self.client, self.address, timeout_s=self._settings.step_timeout_s)
            self._take_in(identity)
            if reason := self._claim(self, identity.facts):
                return reason
            self.is_member = True
            await self._serve(identity, place)
        except SwarmError as error:
            return str(error)
        except Exception as error:
            log.exception("engine failed", extra={"addr": str(self.address)})
            return f"{type(error).__name__}: {error}"
        finally:
            place.leave()
        return "the engine stopped"

    def _leave(self, reason: str) -> None:
        """Take the engine out of the cluster until it is accepted again, with all that it had."""
        self._health.enter(State.PENDING, reason)
        self.is_member = False
        self._inventory.clear()

    async def _serve(self, identity: Identity, place: Place) -> None:
        """Read everything, then leave `place`, follow, refresh and watch. Raises SwarmError if that cannot go on."""
        follower = self._follower = Follower(
            str(self.address),
            self.client,
            self._settings,
            clock=identity.clock,
            skew_ns=lambda: self._skew.ns,
            on_event=self._on_event,
            on_break=self._health.alarm.set,
            on_gap=lambda: self._refresher.request(full=True, specs=True),
            tally=self._shared.tally,
        )
        self._another = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._refresher.open(tasks)
                try:
                    tasks.create_task(follower.run(), name=f"events {self.address}")
                    await self._read_everything(follower)
                    place.leave()
                    self._health.enter(State.HEALTHY)
                    tasks.create_task(self._refresher.run(), name=f"refresh {self.address}")
                    tasks.create_task(self._health.watch(self.client.ping), name=f"health {self.address}")
                    await self._another
                finally:
                    self._refresher.close()
        except ExceptionGroup as group:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # which a TaskGroup that fails meanwhile swallows
                raise asyncio.CancelledError from group
            raise group.exceptions[0] from group
        finally:
            self._follower = None

    async def _read_everything(self, follower: Follower) -> None:
        """Read all that the engine holds, once its events are followed: so no change is missed."""
        step_timeout_s = self._settings.step_timeout_s
        try:
            async with asyncio.timeout(step_timeout_s):
                await follower.opened.wait()
        except TimeoutError as error:
            reason = follower.error or f"no answer within {step_timeout_s:g} s"
            raise EngineUnreachable(f"the events of {self.address} cannot be followed: {reason}") from error
        await self._refresher.sync(full=True)
        try:
            async with asyncio.timeout(step_timeout_s):
                await self._refresher.read_lists()
        except (TimeoutError, SwarmError):
            self._refresher.ask_lists()  # a slow list, of images for instance, is not worth waiting for

    async def _read_specs(self) -> None:
        """Read what the engine says of itself. What will not do is logged, and what was known before kept.

        Raises EngineUnreachable, and NotAnEngine if another engine answers now, which ends this one's part.
        Source: classic Swarm 1.2, cluster/engine.go, where such an engine stayed Pending for ever.
        """
        try:
            identity = await identify(self.client, self.address, timeout_s=self._settings.step_timeout_s)
        except EngineUnreachable:
            raise
        except SwarmError as error:
            extra = {"engine": self.name, "addr": str(self.address), "error": str(error)}
            log.warning("Update engine specs failed", extra=extra)
            return
        known = self.facts.id if self.facts else ""
        if identity.facts.id != known:
            another = NotAnEngine(
                f"Engine (ID: {known}, Addr: {self.address}) shows up with another ID:{identity.facts.id}. "
                "Please remove it from cluster, it can be added back."
            )
            if not self._another.done():
                self._another.set_exception(another)
            raise another
        self._take_in(identity)

    def _take_in(self, identity: Identity) -> None:
        """Keep what the engine says of itself now."""
        before, self.facts = self.facts, identity.facts
        self.client.api_version = identity.api_version
        self._inventory.resize(identity.facts.cpus)
        self._inventory.touch()
        if before is None or before.standing != identity.facts.standing:
            self.on_swarm()
        if self._follower is not None:
            self._follower.set_clock(identity.clock)
        moved = before is not None and before.ip != identity.facts.ip
        if self._skew.measured(identity) or moved:
            self._refresher.request(full=True)
        if identity.ignored_labels != self._warned_labels:
            self._warned_labels = identity.ignored_labels
            for warning in identity.ignored_labels:
                log.warning("label ignored", extra={"engine": self.name, "addr": str(self.address), "error": warning})

    def _on_event(self, event: Event) -> None:
        """Pass an event on at once, then have read what it changes."""
        self._observer.happened(self, event)
        self._refresher.take_event(event)

    def _state_changed(self, before: State, after: State) -> None:
        extra = {"engine": self.name, "addr": str(self.address)}
        if (before, after) == (State.PENDING, State.HEALTHY):
            log.info("Registered Engine", extra=extra)
        elif after is State.UNHEALTHY:
            log.error("Flagging engine as unhealthy", extra={**extra, "failures": self.failures, "error": self.error})
            self.pool.drop_silent()
        elif (before, after) == (State.UNHEALTHY, State.HEALTHY):
            log.info("Engine came back to life", extra={**extra, "failures": self._health.survived})
            self._refresher.request(specs=True)
            if self._follower is not None:
                self._follower.restart()
        self._observer.state_changed(self, before, after)
