"""Keeps the inventory true: a light list now and then, everything after a gap, one container on demand."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus

from swarmproxy.engine.client import EngineClient
from swarmproxy.engine.coalesce import Coalescer
from swarmproxy.engine.inventory import Inventory, Listed, read_list
from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.errors import EngineError, EngineUnreachable, SwarmError
from swarmproxy.model.container import Container
from swarmproxy.model.container import from_engine as read_container
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
    ) -> None:
        self._address = address
        self._client = client
        self._inventory = inventory
        self._settings = settings
        self._read_specs = read_specs
        self._circumstances = circumstances  # skew in nanoseconds, IP address
        self._wake = asyncio.Event()
        self._full = self._specs = False
        self._seen: dict[str, int] = {}  # hash of each list as it was taken in last
        self.containers = Coalescer(self._read_one, limit=settings.inspects, name=f"inspect {address}")
        self.images = Coalescer(self._read_images, limit=1, name=f"images {address}")
        self.networks = Coalescer(self._read_networks, limit=1, name=f"networks {address}")
        self.volumes = Coalescer(self._read_volumes, limit=1, name=f"volumes {address}")
        self.specs = Coalescer(lambda _key: read_specs(), limit=1, name=f"specs {address}")

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Do what is asked for in `tasks` from now on."""
        self._full = self._specs = False
        self._seen.clear()
        self.containers.open(tasks)
        for each in (self.specs, *self._lists):
            each.open(tasks)

    def close(self) -> None:
        """Take no more work."""
        reason = f"engine {self._address} is not a member of the cluster"
        self.containers.close(reason)
        for each in (self.specs, *self._lists):
            each.close(reason)

    @property
    def _lists(self) -> tuple[Coalescer[None], ...]:
        return self.images, self.networks, self.volumes

    def ask_lists(self) -> list[asyncio.Future[None]]:
        """Have images, networks and volumes read now, side by side; return the outcome of each."""
        return [each.ask("") for each in self._lists]

    def request(self, *, full: bool = False, specs: bool = False) -> None:
        """Have the list read soon, every container if `full`, and what the engine is if `specs`."""
        self._full |= full
        self._specs |= specs
        self._wake.set()

    def touch(self, container_id: str) -> None:
        """Have one container read soon; nobody waits for it."""
        self.containers.ask(container_id)

    def forget(self, container_id: str) -> None:
        """Drop a container that is no more; what is being read of it must not bring it back."""
        self._inventory.drop(container_id)

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
                await self.sync(full=full)
                for outcome in await asyncio.gather(*map(asyncio.shield, self.ask_lists()), return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
            except SwarmError as error:
                self._full |= full
                self._specs |= specs
                if not failed:
                    log.warning("refresh failed", extra={"addr": self._address, "error": str(error)})
                failed += 1
            except Exception:
                self._full = True
                if not failed:
                    log.exception("refresh failed", extra={"addr": self._address})
                failed += 1
            else:
                failed = 0

    async def _pause(self, failed: int) -> None:
        settings = self._settings
        if failed:
            wait_s = jittered(min(settings.retry_min_s * 2 ** min(failed, 16), settings.refresh_cap_s))
        else:
            wait_s = random.uniform(settings.refresh_min_s, settings.refresh_max_s)  # noqa: S311 - spreads load
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def sync(self, *, full: bool) -> None:
        """Read the list of containers, and inspect those that are new or changed, or all if `full`."""
        inventory = self._inventory
        with inventory.reading() as number:
            listed = read_list(await self._client.list_containers())
            inventory.keep_only({each.id for each in listed}, number)
            stale = [each for each in listed if full or each.state == RESTARTING or not inventory.is_current(each)]
            await self._inspect_all(stale, number)

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
        for each in listed:
            if failures:
                return
            if self._inventory.is_known_since(each.id, number):
                continue
            try:
                await self._inspect(each, number)
            except EngineUnreachable as error:
                # engines are known to hang on one container: it must not take the others with it
                try:
                    await self._client.ping()
                except SwarmError as gone:
                    failures.append(gone)
                log.warning(
                    "container cannot be inspected",
                    extra={"addr": self._address, "container": each.id, "error": str(error)},
                )
            except Exception as error:  # noqa: BLE001 - raised by whoever started us
                failures.append(error)

    async def _inspect(self, listed: Listed, number: int) -> Container | None:
        """Take in one container; return it, None if it has gone meanwhile."""
        try:
            body = await self._client.inspect_container(listed.id)
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._inventory.drop(listed.id)
            else:  # a broken container; it is tried again with the next list
                log.warning(
                    "container cannot be inspected",
                    extra={"addr": self._address, "container": listed.id, "error": str(error)},
                )
            return None
        skew_ns, ip = self._circumstances()
        try:
            container = read_container(listed.item, body, skew_ns=skew_ns, ip=ip)
        except SwarmError as error:
            log.warning(
                "container cannot be read",
                extra={"addr": self._address, "container": listed.id, "error": str(error)},
            )
            return None
        return self._inventory.put(container, listed.key, number)

    async def _read_one(self, container_id: str) -> Container | None:
        """Read one container now: its element of the list, then its inspect."""
        try:
            with self._inventory.reading() as number:
                listed = read_list(await self._client.list_containers(container_id))
                for each in listed:
                    if each.id == container_id:
                        return await self._inspect(each, number)
                self._inventory.drop(container_id)
                return None
        except SwarmError as error:
            log.debug(
                "container not refreshed",
                extra={"addr": self._address, "container": container_id, "error": str(error)},
            )
            self._inventory.doubt(container_id)
            raise

    async def _read_images(self, _key: str) -> None:
        body = await self._client.list_images()
        if self._is_news("images", body):
            self._inventory.take_images(read_images(body))
            self._inventory.touch()

    async def _read_networks(self, _key: str) -> None:
        body = await self._client.list_networks()
        if self._is_news("networks", body):
            self._inventory.take_networks(read_networks(body))

    async def _read_volumes(self, _key: str) -> None:
        body = await self._client.list_volumes()
        if self._is_news("volumes", body):
            self._inventory.take_volumes(read_volumes(body))

    def _is_news(self, what: str, body: bytes) -> bool:
        """Return whether the list differs from the one before."""
        before, self._seen[what] = self._seen.get(what), hash(body)
        return self._seen[what] != before
