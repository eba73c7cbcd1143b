"""The items of `docker ps`: each container's encoded members, joined with what depends on the reader and the time."""

import asyncio
import bisect
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice

import msgspec
from fastapi import Response

from swarmproxy.api.requests import JSON, json_reply
from swarmproxy.api.streams import CutWhenItFails
from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.newest import Block, Key, Newest, key_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.apiversion import DEFAULT
from swarmproxy.model.container import RUNNING_STATES
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.names import NameStyle, names_json
from swarmproxy.model.status import FOREVER_NS, HOST_DOWN, status_until

SIZE_TIMEOUT_S = 120.0


class _Sized(msgspec.Struct):
    Id: str
    SizeRw: int = 0
    SizeRootFs: int = 0


_sized = msgspec.json.Decoder(list[_Sized])


def item_json(located: Located, style: NameStyle, *, now_ns: int, extra: bytes = b"") -> bytes:
    """Return one item of the list. `extra` is members to add, without a comma in front."""
    head, _ = _head(located, style, now_ns)
    fields = located.container.fields
    return b"".join((head, fields, b",", extra, b"}") if extra else (head, fields, b"}"))


def _head(located: Located, style: NameStyle, now_ns: int) -> tuple[bytes, int]:
    """Return the begin of an item, up to the members that the engine has said, and until when it stays the same."""
    container, engine = located.container, located.engine
    status, until_ns = HOST_DOWN, FOREVER_NS
    if engine.state is State.HEALTHY:
        status, until_ns = status_until(container, now_ns=now_ns)
    names = names_json(container, engine.name, style)
    return b'{"Names":%b,"Status":%b,' % (names, msgspec.json.encode(status)), until_ns


class Items:
    """The items of a block, joined by commas: kept, and those made anew whose status has come to read differently."""

    __slots__ = ("_made_ns", "_pieces", "_rows", "_style", "_until_ns", "_untils_ns", "text")

    def __init__(self, rows: Sequence[Located], style: NameStyle, now_ns: int) -> None:
        self._rows = rows
        self._style = style
        heads = [_head(row, style, now_ns) for row in rows]
        self._pieces = [
            piece for row, (head, _) in zip(rows, heads, strict=True) for piece in (head, row.container.fields, b"},")
        ]
        if rows:
            self._pieces[-1] = b"}"
        self._untils_ns = [until_ns for _, until_ns in heads]
        self._join(now_ns)

    def at(self, now_ns: int) -> bytes:
        """Return the items as they read at `now_ns`."""
        if not self._made_ns <= now_ns < self._until_ns:
            turned_back = now_ns < self._made_ns  # the clock
            for place, until_ns in enumerate(self._untils_ns):
                if until_ns <= now_ns or turned_back:
                    head, self._untils_ns[place] = _head(self._rows[place], self._style, now_ns)
                    self._pieces[3 * place] = head
            self._join(now_ns)
        return self.text

    def _join(self, now_ns: int) -> None:
        self._made_ns = now_ns
        self._until_ns = min(self._untils_ns, default=FOREVER_NS)
        self.text = b"".join(self._pieces)


def items_of(block: Block, style: NameStyle, *, all_states: bool, now_ns: int, keeps: bool = True) -> bytes:
    """Return the items of the containers of `block`, or of those that run on nodes that answer, joined by commas."""
    key = style, all_states
    items: Items | None = block.kept.get(key)
    if items is None:
        items = Items([row for row in block.rows if all_states or _runs(row)], style, now_ns)
        if keeps:
            block.keep(key, items)
    return items.at(now_ns)


def _runs(located: Located) -> bool:
    return located.container.state in RUNNING_STATES and located.engine.state is State.HEALTHY


MOST_KEPT = 100_000  # containers; the items of more would take more memory than they are worth
AT_ONCE = 8  # blocks that are answered in one piece; more are sent one by one, and others are served meanwhile


def whole_list(newest: Newest, style: NameStyle, *, all_states: bool, clock_ns: Callable[[], int]) -> Response:
    """Return the answer with all containers, or all that run."""
    blocks = list(islice(newest.blocks(), AT_ONCE + 1))
    if len(blocks) > AT_ONCE:
        return CutWhenItFails(_pieces(newest, style, all_states=all_states, clock_ns=clock_ns), JSON)
    texts = (items_of(block, style, all_states=all_states, now_ns=clock_ns()) for block in blocks)
    return json_reply(b"[%b]\n" % b",".join(text for text in texts if text))


async def _pieces(
    newest: Newest, style: NameStyle, *, all_states: bool, clock_ns: Callable[[], int]
) -> AsyncIterator[bytes]:
    """Yield the whole list block by block.

    What changes meanwhile may be shown as it was or as it is; what does not is shown once.
    """
    opening = b"["
    last: Key | None = None
    keeps = len(newest) <= MOST_KEPT
    while (block := next(newest.blocks(last), None)) is not None:
        first = bisect.bisect_right(block.rows, last, key=key_of) if last is not None else 0
        if first:  # the block has been joined with one that was sent already
            block = Block(block.rows[first:])
        last = key_of(block.rows[-1])
        if text := items_of(block, style, all_states=all_states, now_ns=clock_ns(), keeps=keeps):
            yield opening
            yield text
            opening = b","
        await asyncio.sleep(0)
    yield b"]\n" if opening == b"," else b"[]\n"


async def sizes_of(found: list[Located]) -> dict[str, bytes]:
    """Return the members `SizeRw` and `SizeRootFs` by container id, asked of the engines now.

    An engine that is down or does not answer leaves its containers without sizes.
    """
    engines = dict.fromkeys(each.engine for each in found if each.engine.state is State.HEALTHY)
    outcome = await on_all(list(engines), _sizes, timeout_s=SIZE_TIMEOUT_S)
    return {container_id: members for _, sizes in outcome.done for container_id, members in sizes.items()}


async def _sizes(engine: Engine) -> dict[str, bytes]:
    answer = await ask(engine, DEFAULT, "GET", "/containers/json?all=1&size=1", timeout_s=SIZE_TIMEOUT_S)
    try:
        items = _sized.decode(answer.body) if answer.status == 200 else []
    except NOT_JSON:
        return {}
    return {each.Id: b'"SizeRw":%d,"SizeRootFs":%d' % (each.SizeRw, each.SizeRootFs) for each in items}
