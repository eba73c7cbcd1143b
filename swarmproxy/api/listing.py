"""The items of `docker ps`: each container's encoded members, joined with what depends on the reader and the time."""

import msgspec

from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.index import Located
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.apiversion import DEFAULT
from swarmproxy.model.names import NameStyle, names_json
from swarmproxy.model.status import HOST_DOWN, status_text

SIZE_TIMEOUT_S = 120.0


class _Sized(msgspec.Struct):
    Id: str
    SizeRw: int = 0
    SizeRootFs: int = 0


_sized = msgspec.json.Decoder(list[_Sized])


def item_json(located: Located, style: NameStyle, *, now_ns: int, extra: bytes = b"") -> bytes:
    """Return one item of the list. `extra` is members to add, without a comma in front."""
    container, engine = located.container, located.engine
    status = status_text(container, now_ns=now_ns) if engine.state is State.HEALTHY else HOST_DOWN
    parts = [
        b'{"Names":',
        names_json(container, engine.name, style),
        b',"Status":',
        msgspec.json.encode(status),
        b",",
        container.fields,
    ]
    if extra:
        parts += (b",", extra)
    parts.append(b"}")
    return b"".join(parts)


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
    except msgspec.MsgspecError:
        return {}
    return {each.Id: b'"SizeRw":%d,"SizeRootFs":%d' % (each.SizeRw, each.SizeRootFs) for each in items}
