"""Of several copies of one container, which stays."""

from dataclasses import replace as replaced

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmproxy.cluster.duplicates import judge
from swarmproxy.cluster.index import Located
from swarmproxy.model.container import Container
from tests.cluster.members import container, member

SWARM_ID = "5a" * 32


def copy(node: int, *, made: int, state: str = "running", started: int = 0, finished: int = 0) -> Located:
    """Return a copy on `node-<node>` that was made, started and finished at these seconds."""
    seconds = 10**9
    plain = container(f"{node}", "web", created=made, swarm_id=SWARM_ID)
    was_started = started or (made + 1 if state in ("running", "exited") else 0)
    held = replace(plain, state=state, started_ns=was_started * seconds, finished_ns=finished * seconds, recipe=b"{}")
    return Located(member(node), held)


def stays(*copies: Located) -> tuple[str, bool]:
    """Return the node whose copy stays, and whether it is to be started."""
    verdict = judge(copies)
    assert verdict is not None
    assert sorted([verdict.stays, *verdict.goes], key=id) == sorted(copies, key=id)
    return verdict.stays.engine.name, verdict.starts


def test_who_stays() -> None:
    """The latest that was ever started stays, and of copies that never were the first."""
    assert stays(copy(1, made=1), copy(2, made=5)) == ("node-2", False)
    assert stays(copy(1, made=1), copy(2, made=5, state="exited")) == ("node-2", False)
    assert stays(copy(1, made=1), copy(2, made=5, state="created")) == ("node-1", False)
    assert stays(copy(1, made=1, state="created"), copy(2, made=5, state="created")) == ("node-1", False)
    assert stays(copy(1, made=1), copy(2, made=5), copy(3, made=9, state="created")) == ("node-2", False)


def test_interrupted_move() -> None:
    """An original that was stopped for its copy, which nobody started, goes: the copy is to be started."""
    assert stays(copy(1, made=1, state="exited", finished=6), copy(2, made=5, state="created")) == ("node-2", True)
    assert stays(copy(1, made=1, state="exited", finished=4), copy(2, made=9, state="created")) == ("node-1", False)


def test_nobody_goes() -> None:
    """One copy, copies of one daemon under two addresses, clones, and containers without the policy are left alone."""
    one, other = copy(1, made=1), copy(2, made=5)
    assert judge([one]) is None
    assert judge([]) is None
    assert judge([one, Located(other.engine, replace(other.container, recipe=b""))]) is None
    assert judge([one, Located(other.engine, replace(other.container, name="clone"))]) is None
    assert other.engine.facts is not None
    assert one.engine.facts is not None
    other.engine.facts = replaced(other.engine.facts, id=one.engine.facts.id)
    assert judge([one, other]) is None
    other.engine.facts = None
    assert judge([one, other]) is None


moments = st.integers(1, 50)
copies = st.lists(
    st.builds(
        copy,
        st.integers(0, 5),
        made=moments,
        state=st.sampled_from(["created", "running", "exited", "paused"]),
        finished=moments,
    ),
    min_size=2,
    max_size=5,
    unique_by=lambda each: each.engine.name,
)


@given(copies)
def test_always_one(found: list[Located]) -> None:
    """Exactly one stays, and never one that did not start while another did, unless it is to be started."""
    verdict = judge(found)
    assert verdict is not None
    assert len(verdict.goes) == len(found) - 1

    def ran(each: Container) -> bool:
        return each.started_ns > 0 or each.is_running

    if any(ran(each.container) for each in found):
        assert ran(verdict.stays.container) or verdict.starts
    assert judge([verdict.stays]) is None
