"""The table of containers: found and sorted here, a page at a time, without holding up requests to the cluster."""

import asyncio
import bisect
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from swarmproxy.cluster.newest import Block, Key, Located, Newest, key_of
from swarmproxy.engine.engine import State
from swarmproxy.model.container import RUNNING_STATES, Container
from swarmproxy.model.info import human_size
from swarmproxy.model.status import HOST_DOWN, status_text
from swarmproxy.page.audience import Audience
from swarmproxy.page.node_view import Tone

PER_PAGE = 50
MAX_WORDS_LENGTH = 200
PORTS_SHOWN = 4
MOST_KEPT = 100_000  # containers; the texts of more would take more memory than they are worth

Test = Callable[[Located], bool]

_FIELDS: Mapping[str, Callable[[Located], str]] = {
    "name": lambda row: row.container.name,
    "node": lambda row: row.engine.name,
    "image": lambda row: row.container.image,
    "id": lambda row: row.container.id,
    "state": lambda row: row.container.state,
    "health": lambda row: row.container.health,
    "label": lambda row: "\n".join(map("=".join, row.container.labels.items())),
}
"""What a word of a search can name with a colon: `image:nginx`."""

_STATES: Mapping[str, Test] = {
    "running": lambda row: row.container.state in RUNNING_STATES and row.engine.state is State.HEALTHY,
    "stopped": lambda row: row.container.state not in RUNNING_STATES,
    "unhealthy": lambda row: row.container.health == "unhealthy",
    "unreachable": lambda row: row.engine.state is not State.HEALTHY,
}

_SORTS: Mapping[str, Callable[[Located], str]] = {
    "name": lambda row: row.container.name.lower(),
    "node": lambda row: row.engine.name.lower(),
    "image": lambda row: row.container.image.lower(),
    "state": lambda row: row.container.state,
    "created": lambda row: f"{row.container.created_ns:020}",
}

STATES = ("", *_STATES)
SORTS = tuple(_SORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a reader looks for, in which order, and which page of it."""

    words: str = ""
    state: str = ""
    node: str = ""  # the whole name of one
    sort: str = "created"
    falls: bool = True  # from the last to the first
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "Search":
        """Return the search in the parameters of a request. What makes no sense is as if it were not there."""
        sort, _, direction = parameters.get("sort", "").partition(".")
        number = parameters.get("page", "")
        return cls(
            words=parameters.get("q", "").strip()[:MAX_WORDS_LENGTH],
            state=state if (state := parameters.get("state", "")) in _STATES else "",
            node=parameters.get("node", "")[:MAX_WORDS_LENGTH],
            sort=sort if sort in _SORTS else "created",
            falls=direction == "down" if sort in _SORTS else True,
            page=max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 8 else 1,
        )

    def link(self, **changes: object) -> str:
        """Return the query of an address that asks for this search with `changes`, on its first page unless said."""
        search = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        order = "" if (search.sort, search.falls) == ("created", True) else search.sort
        order += ".down" if order and search.falls else ""
        said = {
            "q": search.words,
            "state": search.state,
            "node": search.node,
            "sort": order,
            "page": search.page if search.page > 1 else "",
        }
        return f"?{urlencode({key: value for key, value in said.items() if value})}"

    def sorted_by(self, sort: str) -> str:
        """Return the query that sorts by `sort`, the other way round if it does so already."""
        return self.link(sort=sort, falls=not self.falls if sort == self.sort else sort == "created")

    def tests(self) -> tuple[Test, ...]:
        """Return what a container has to pass."""
        tests = [_STATES[self.state]] if self.state else []
        if self.node:
            tests.append(lambda row: row.engine.name == self.node)
        return (*tests, *filter(None, map(_test_of_field, self.words.lower().split())))

    def anywhere(self) -> list[str]:
        """Return the words that have to stand somewhere in what is said of a container."""
        return [word for word in self.words.lower().split() if _test_of_field(word) is None]


def _test_of_field(word: str) -> Test | None:
    """Return the test that a word with a colon is; None for a word that may stand anywhere."""
    name, colon, text = word.partition(":")
    field = _FIELDS.get(name)
    if not (colon and text and field):
        return None
    return lambda row: text in field(row).lower()


def mentioning(block: Block, words: Sequence[str], *, keeps: bool = False) -> list[Located]:
    """Return the rows of `block` with all of `words` in them. What is made for that may be kept for the next search."""
    if not words:
        return block.rows
    texts: list[str] | None = block.kept.get("page")
    if texts is None:
        texts = list(map(_text_of, block.rows))
        if keeps:
            block.keep("page", texts)
    return [row for row, text in zip(block.rows, texts, strict=True) if all(word in text for word in words)]


def _text_of(row: Located) -> str:
    container = row.container
    labels = _FIELDS["label"](row)
    return f"{container.name}\n{row.engine.name}\n{container.image}\n{container.id}\n{labels}".lower()


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was found."""

    rows: tuple["Row", ...]
    count: int  # on all pages
    page: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the first row, from 1."""
        return (self.page - 1) * PER_PAGE + min(1, self.count)

    @property
    def last(self) -> int:
        """The number of the last row."""
        return max(self.first + len(self.rows) - 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One container as the table shows it."""

    id: str
    short_id: str
    name: str
    node: str
    address: str
    image: str
    tone: Tone
    state: str
    status: str
    ports: tuple[str, ...]
    more_ports: int
    created: int  # unix seconds
    limits: str  # of memory and CPU; empty: none
    networks: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, located: Located, now_ns: int) -> "Row":
        """Return the row of a container."""
        container, engine = located.container, located.engine
        answers = engine.state is State.HEALTHY
        ports = tuple(dict.fromkeys(_port(each.host_port, each.container_port) for each in container.published))
        memory_bytes = container.memory_bytes or container.memory_reservation_bytes
        return cls(
            id=container.id,
            short_id=container.short_id,
            name=container.name or container.short_id,
            node=engine.title,
            address=str(engine.address),
            image=container.image,
            tone=_tone(container) if answers else "bad",
            state=container.state,
            status=(status_text(container, now_ns=now_ns) or "Exited") if answers else HOST_DOWN,
            ports=ports[:PORTS_SHOWN],
            more_ports=len(ports[PORTS_SHOWN:]),
            created=container.created,
            limits=", ".join(filter(None, (human_size(memory_bytes) if memory_bytes else "", _cpus(container)))),
            networks=tuple(container.networks),
            labels=tuple(sorted(container.labels.items())),
        )


def _tone(container: Container) -> Tone:
    if container.health == "unhealthy" or container.state == "dead":
        return "bad"
    if container.state in ("restarting", "removing") or container.health == "starting":
        return "warn"
    return "ok" if container.state == "running" else "wait"


def _cpus(container: Container) -> str:
    return f"{container.nano_cpus / 1e9:.4g} CPU" if container.nano_cpus else ""


def _port(host_port: str, container_port: str) -> str:
    return f"{host_port}→{container_port}" if host_port else container_port


async def find(newest: Newest, search: Search, audience: Audience) -> Found:
    """Return the page of `newest` that `search` asks for, the last one if there are not so many.

    It holds no more rows than the pages up to that one have, and lets requests have their turn.
    """
    tests, words = search.tests(), search.anywhere()
    keeps = len(newest) <= MOST_KEPT
    most = search.page * PER_PAGE
    sort = None if (search.sort, search.falls) == ("created", True) else _SORTS[search.sort]
    best: list[tuple[str, str, Located]] = []
    count = 0
    async for block in _blocks(newest):
        rows = mentioning(block, words, keeps=keeps)
        found = [row for row in rows if all(test(row) for test in tests) and audience.may_see(row.container)]
        count += len(found)
        if sort is None:
            best += [("", "", row) for row in found[: most - len(best)]]
        else:
            best += [(sort(row), row.container.id, row) for row in found]
            best.sort(reverse=search.falls)  # no two have one ID, so rows are not compared
            del best[most:]
    pages = max(1, -(-count // PER_PAGE))
    page = min(search.page, pages)
    now_ns = time.time_ns()
    shown = best[(page - 1) * PER_PAGE : page * PER_PAGE]
    return Found(tuple(Row.of(row, now_ns) for _, _, row in shown), count, page, pages)


async def _blocks(newest: Newest) -> AsyncIterator[Block]:
    """Yield all containers in their order, some at a time.

    What changes meanwhile may be shown as it was or as it is; what does not is shown once.
    """
    last: Key | None = None
    while (block := next(newest.blocks(last), None)) is not None:
        first = bisect.bisect_right(block.rows, last, key=key_of) if last is not None else 0
        last = key_of(block.rows[-1])
        yield Block(block.rows[first:]) if first else block
        await asyncio.sleep(0)
