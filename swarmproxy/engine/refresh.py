"""Keeps the inventory true: a light list now and then, everything after a gap, one container on demand."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from itertools import islice

from swarmproxy.engine.changes import Changes
from swarmproxy.engine.client import CONTAINERS, IMAGES, LISTS, NETWORKS, VOLUMES, Calls, EngineClient
from swarmproxy.engine.coalesce import Coalescer
from swarmproxy.engine.events import Effect, effect_of
from swarmproxy.engine.inventory import Inventory, Listed, read_list
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.engine.shared import Tally
from swarmproxy.errors import EngineError, EngineUnreachable, SwarmError
from swarmproxy.model.container import Container
from swarmproxy.model.container import from_engine as read_container
from swarmproxy.model.event import Event
from swarmproxy.model.image import list_from_engine as read_images
from swarmproxy.model.network import list_from_engine as read_networks
from swarmproxy.model.volume import list_from_engine as read_volumes

log = logging.getLogger("swarmproxy.engine")

ITEMS_PER_READER = 32  # a short list is inspected over one connection: a thousand engines start together
RESTARTING = "restarting"


class Refresher:
    """Reads what one engine holds."""

    def __init__(
        self,
        address: str,
        client: EngineClient,
        inventory: Inventory,
        settings: EngineSettings,
        *,
        read_specs: Callable[[], Awaitable[None]],
        circumstances: Callable[[], tuple[int, str]],
        tally: Tally,
    ) -> None:
        self._address = address
        self._client = client
        self._inventory = inventory
        self._settings = settings
        self._read_specs = read_specs
        self._circumstances = circumstances  # skew in nanoseconds, IP address
        self._tally = tally
        self.refreshed_at = 0.0  # when the list of containers was read last, by the monotonic clock; 0: never
        self._wake = asyncio.Event()
        self._full = self._specs = False
        self._readings = 0
        self._known: tuple[int, int] | None = None  # hash of a list that told nothing new, and what was known then
        self._seen: dict[str, tuple[int, int | None]] = {}  # number and hash of each list as it was taken in last
        self.containers = Coalescer(self._read_one, limit=settings.inspects, name=f"inspect {address}")
        self.changes = Changes(self.containers, lambda container_id: container_id in inventory.containers)
        self.images = Coalescer(lambda _: self._read_list(IMAGES), limit=1, name=f"images {address}")
        self.networks = Coalescer(lambda _: self._read_list(NETWORKS), limit=1, name=f"networks {address}")
        self.volumes = Coalescer(lambda _: self._read_list(VOLUMES), limit=1, name=f"volumes {address}")
        self.specs = Coalescer(lambda _key: read_specs(), limit=1, name=f"specs {address}")

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Do what is asked for in `tasks` from now on."""
        self._full = self._specs = False
        self._seen.clear()
        self._known = None
        self.containers.open(tasks)
        for each in (self.specs, *self._lists):
            each.open(tasks)

    def close(self) -> None:
        """Take no more work."""
        reason = f"engine {self._address} is not a member of the cluster"
        self.changes.close()
        self.containers.close(reason)
        for each in (self.specs, *self._lists):
            each.close(reason)

    @property
    def _lists(self) -> tuple[Coalescer[None], ...]:
        return self.images, self.networks, self.volumes

    async def read_lists(self) -> None:
        """Read images, networks and volumes. Raises the first failure."""
        number = self._begin()
        with self._client.lists(IMAGES, NETWORKS, VOLUMES) as bodies:
            await self._take_lists(bodies, number)

    def ask_lists(self) -> None:
        """Have images, networks and volumes read one by one; nobody waits for it."""
        for each in self._lists:
            each.ask("")

    def request(self, *, full: bool = False, specs: bool = False) -> None:
        """Have the list read soon, every container if `full`, and what the engine is if `specs`."""
        self._full |= full
        self._specs |= specs
        self._wake.set()

    def touch(self, container_id: str) -> None:
        """Have one container read soon; nobody waits for it."""
        self.changes.touch(container_id)

    def take_event(self, event: Event) -> None:
        """Have read soon what `event` changes."""
        effect, container_id = effect_of(event)
        if effect in (Effect.CONTAINER, Effect.ENDPOINT) and container_id:
            self.touch(container_id)
        if effect in (Effect.NETWORKS, Effect.ENDPOINT):
            self.networks.ask("")
        elif effect is Effect.GONE:
            self._inventory.drop(container_id)
        elif effect is Effect.IMAGES:
            self.images.ask("")
        elif effect is Effect.VOLUMES:
            self.volumes.ask("")
        elif effect is Effect.SPECS:
            self.request(specs=True)

    async def run(self) -> None:
        """Read again and again until cancelled: less often while that fails, but never hours apart."""
        settings = self._settings
        specs_at = asyncio.get_running_loop().time()
        failed = 0
        while True:
            await self._pause(failed)
            full, self._full = self._full, False
            specs, self._specs = self._specs, False
            now = asyncio.get_running_loop().time()
            try:
                if specs or now - specs_at >= settings.specs_s:
                    await self._read_specs()
                    specs_at = now
                    full |= self._full
                    self._full = False
                if full:
                    await self.sync(full=True)
                    await self.read_lists()
                else:
                    await self._look()
            except SwarmError as error:
                self._tally.failed_refreshes += 1
                self._full |= full
                self._specs |= specs
                if not failed:
                    log.warning("refresh failed", extra={"addr": self._address, "error": str(error)})
                failed += 1
            except Exception:
                self._tally.failed_refreshes += 1
                self._full = True
                if not failed:
                    log.exception("refresh failed", extra={"addr": self._address})
                failed += 1
            else:
                self._tally.refreshes += 1
                failed = 0

    async def _pause(self, failed: int) -> None:
        settings = self._settings
        if failed:
            wait_s = jittered(min(settings.retry_min_s * 2 ** min(failed, 16), settings.refresh_cap_s))
        else:
            wait_s = random.uniform(settings.refresh_min_s, settings.refresh_max_s)  # noqa: S311 - spreads load
        timer = asyncio.get_running_loop().call_later(wait_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()

    async def sync(self, *, full: bool) -> None:
        """Read the list of containers, and inspect those that are new or changed, or all if `full`."""
        with self._inventory.reading() as number:
            await self._take_containers(await self._client.list(CONTAINERS), number, full=full)
        self.refreshed_at = time.monotonic()

    async def _look(self) -> None:
        """Read all lists with one request after the other on its way, and inspect what is new or changed."""
        lists = self._begin()
        with self._inventory.reading() as number, self._client.lists(*LISTS) as bodies:
            await self._take_containers(await bodies.next(), number, full=False)
            await self._take_lists(bodies, lists)
        self.refreshed_at = time.monotonic()

    async def _take_containers(self, body: bytes, number: int, *, full: bool) -> None:
        """Take in a list of containers, and inspect those that are new or changed, or all if `full`."""
        inventory = self._inventory
        digest = hash(body)
        if not full and self._known == (digest, inventory.listing):
            return
        self._known = None
        listed = read_list(body)
        inventory.keep_only({each.id for each in listed}, number)
        await self._inspect_all([each for each in listed if full or self._is_stale(each)], number)
        if len(listed) == len(inventory.containers) and not any(map(self._is_stale, listed)):
            self._known = digest, inventory.listing  # the same list again would tell nothing new

    def _is_stale(self, listed: Listed) -> bool:
        return listed.state == RESTARTING or not self._inventory.is_current(listed)

    async def _inspect_all(self, listed: list[Listed], number: int) -> None:
        readers = min(self._settings.inspects, -(-len(listed) // ITEMS_PER_READER))
        remaining = iter(listed)
        failures: list[Exception] = []
        if readers <= 1:
            await self._inspect_each(remaining, number, failures)
        else:
            async with asyncio.TaskGroup() as tasks:
                for reader in range(readers):
                    tasks.create_task(
                        self._inspect_each(remaining, number, failures), name=f"inspect {self._address} #{reader}"
                    )
        if failures:
            raise failures[0]

    async def _inspect_each(self, listed: Iterator[Listed], number: int, failures: list[Exception]) -> None:
        """Inspect what `listed` still gives. A failure is added to `failures`, which ends all who share them.

        It is not raised: a task that fails while its group is being left marks the parent as cancelled for good
        (Python 3.11).
        """
        while batch := deque(islice(listed, ITEMS_PER_READER)):
            while batch:
                if failures:
                    return
                try:
                    await self._inspect_batch(batch, number)
                except EngineUnreachable as error:
                    # engines are known to hang on one container: it must not take the others with it
                    try:
                        await self._client.ping()
                    except SwarmError as gone:
                        failures.append(gone)
                    self._doubt(batch.popleft(), error)
                except Exception as error:  # noqa: BLE001 - raised by whoever started us
                    failures.append(error)

    async def _inspect_batch(self, batch: deque[Listed], number: int) -> None:
        """Inspect the containers of `batch`, and take each out that has been dealt with. Raises as a call."""
        known = self._inventory.is_known_since
        for each in [each for each in batch if known(each.id, number)]:
            batch.remove(each)
        with self._client.inspects([each.id for each in batch]) as bodies:
            while batch:
                try:
                    body = bodies.take()
                    if body is None:
                        body = await bodies.next(counts=False)
                except EngineError as error:
                    self._not_inspected(batch[0], error)
                else:
                    self._take_container(batch[0], body, number)
                batch.popleft()

    def _not_inspected(self, listed: Listed, error: EngineError) -> None:
        """Drop a container that has gone; one that is broken is tried again with the next list."""
        if error.status == HTTPStatus.NOT_FOUND:
            self._inventory.drop(listed.id)
        else:
            self._doubt(listed, error)

    def _doubt(self, listed: Listed, error: SwarmError) -> None:
        """Have a container tried again with the next list, whatever that says."""
        self._warn("container cannot be inspected", listed.id, error)
        self._inventory.doubt(listed.id)

    def _take_container(self, listed: Listed, body: bytes, number: int) -> Container | None:
        """Take in a container and its inspect; return it, None if it has gone meanwhile or cannot be read."""
        skew_ns, ip = self._circumstances()
        try:
            container = read_container(listed.item, body, skew_ns=skew_ns, ip=ip)
        except SwarmError as error:
            self._warn("container cannot be read", listed.id, error)
            return None
        taken = self._inventory.put(container, listed.key, number)
        if listed.state not in ("", container.state):
            self._inventory.doubt(container.id)  # list and inspect are of two moments, and neither may be the last
        return taken

    def _warn(self, message: str, container_id: str, error: SwarmError) -> None:
        extra = {"addr": self._address, "container": container_id, "error": str(error)}
        log.warning(message, extra=extra)

    async def _read_one(self, container_id: str) -> Container | None:
        """Read one container now: its element of the list, then its inspect."""
        try:
            with self._inventory.reading() as number, self._client.looks_at(container_id) as bodies:
                listed = {each.id: each for each in read_list(await bodies.next())}.get(container_id)
                try:
                    body = await bodies.next(counts=False)
                except EngineError as error:
                    if listed is not None:
                        self._not_inspected(listed, error)
                        return None
                if listed is not None:
                    return self._take_container(listed, body, number)
                self._inventory.drop(container_id)
                return None
        except SwarmError as error:
            log.debug(
                "container not refreshed",
                extra={"addr": self._address, "container": container_id, "error": str(error)},
            )
            self._inventory.doubt(container_id)
            raise

    async def _read_list(self, what: str) -> None:
        number = self._begin()
        self._take(what, await self._client.list(what, counts=what != VOLUMES), number)

    async def _take_lists(self, bodies: Calls, number: int) -> None:
        """Take in images, networks and volumes, in this order. Raises the first failure."""
        failure: EngineError | None = None
        for what in (IMAGES, NETWORKS, VOLUMES):
            try:
                self._take(what, await bodies.next(counts=what != VOLUMES), number)
            except EngineError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _begin(self) -> int:
        """Return the number of a reading of lists that begins now."""
        self._readings += 1
        return self._readings

    def _take(self, what: str, body: bytes, number: int) -> None:
        """Take in a list, unless it is the same as before, or a later reading came first."""
        seen, digest = self._seen.get(what, (0, None)), hash(body)
        if number < seen[0]:
            return
        self._seen[what] = number, digest
        if seen[1] == digest:
            return
        if what == IMAGES:
            self._inventory.take_images(read_images(body))
            self._inventory.touch()
        elif what == NETWORKS:
            self._inventory.take_networks(read_networks(body))
        else:
            self._inventory.take_volumes(read_volumes(body))
