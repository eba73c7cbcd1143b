"""Which of several copies of one container stays: a node has come back with its own, or a move was interrupted."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarmproxy.cluster.index import Located

SKEW_NS = 2 * 10**9
"""By so much the clocks of two engines may differ without our knowing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of the copies of one container."""

    stays: Located
    goes: tuple[Located, ...]
    starts: bool = False  # what stays is to be started before anything goes


def judge(copies: Sequence[Located]) -> Verdict | None:
    """Return which of `copies`, which have one swarm ID and are on nodes that answer, stays; None if all do.

    The replacement is the latest one, and it stays if it was ever started; one that was not holds nothing, and goes
    again. If the original was stopped after the replacement was made, then somebody who moved it in order did not
    come to start that: it is to be started. Copies on one daemon, which would be listed under two addresses, those
    without the policy and those of different names, which somebody cloned with their labels, all stay: classic removed
    running containers there.
    """
    daemons = {each.engine.facts.id if each.engine.facts is not None else "" for each in copies}
    if len(copies) < 2 or len(daemons) < len(copies) or "" in daemons:
        return None
    if not all(each.container.is_movable for each in copies) or len({each.container.name for each in copies}) > 1:
        return None
    ordered = sorted(copies, key=lambda each: (each.container.created_ns, each.container.id))
    started = [each for each in ordered if each.container.started_ns or each.container.is_running]
    if not started:
        return Verdict(ordered[0], tuple(ordered[1:]))
    stays, newest = started[-1], ordered[-1]
    starts = False
    if stays is not newest and not stays.container.is_running:
        starts = stays.container.finished_ns >= newest.container.created_ns - SKEW_NS
        stays = newest if starts else stays
    return Verdict(stays, tuple(each for each in ordered if each is not stays), starts)
