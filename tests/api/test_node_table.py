"""The node table that is made of what was kept is the one that would be made from scratch."""

from contextlib import ExitStack
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.api.node_table import NodeTable, node_line
from swarmproxy.cluster.operators import NodeRecord
from swarmproxy.errors import EngineUnreachable
from swarmproxy.model.info import head_rows, totals
from swarmproxy.model.spec import ContainerSpec
from tests.api.test_listing import Members
from tests.model.whole_table import system_status

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["put", "put", "drop", "down", "up", "rename", "fail", "answer", "label", "reserve", "release", "leave"]
        ),
        st.integers(0, 9),
        st.integers(0, 3),
    ),
    max_size=30,
)


@given(STEPS)
def test_any_history(steps: list[tuple[str, int, int]]) -> None:
    """After any history the rows, the sums and the drivers are those of the nodes as they are now."""
    members = Members()
    cluster = members.cluster
    table = NodeTable(cluster, 0.05)
    held = [ExitStack() for _ in range(4)]
    for what, number, choice in steps:
        engine = members.engines[number % 2]
        match what:
            case "fail":
                engine.note_failure(EngineUnreachable(f"trouble {choice}"))
            case "answer":
                engine.note_success()
            case "label":
                assert engine.facts is not None
                cluster.book.put(NodeRecord(id=engine.facts.id, labels={"rack": str(choice)}))
            case "reserve":
                spec = ContainerSpec(memory_bytes=choice << 20, cpus=choice)
                held[choice].enter_context(cluster.reservations.place(spec, engine, f"{number}-{choice}"))
            case "release":
                held[choice].close()
            case "leave":
                if cluster.membership._present.pop(engine.address, None) is not None:
                    cluster.left(engine)
            case "rename":
                assert engine.facts is not None
                names = msgspec.json.encode({"Log": [f"log-{choice}"], "Authorization": None})
                engine.facts = replace(engine.facts, name=f"node-{choice * 7}", plugins=names)
                engine._inventory.touch()
            case _:
                members.act(what, number, choice)
        table.look()
        lines = [node_line(cluster, each, 0.05) for each in cluster.engines()]
        shown = head_rows("primary", "spread", ["port"], len(table))
        shown += msgspec.json.decode(b"[%b]" % table.rows()[1:])
        assert shown == system_status("primary", "spread", ["port"], lines)
        assert table.totals == totals(lines)
        images = [image for each in cluster.engines() for image in each.images.values()]
        assert table.images == sum(1 for image in images if image.tags)
        drivers = {
            msgspec.json.decode(each.facts.plugins).get("Log", [""])[0] for each in cluster.engines() if each.facts
        }
        assert msgspec.json.decode(table.plugins)["Log"] == sorted(drivers - {""})
    for each in held:
        each.close()
