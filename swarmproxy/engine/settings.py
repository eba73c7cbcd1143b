"""How patient we are with an engine: every interval, deadline and bound of this package."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The same for all engines. What users may set comes from the command line, the rest is for tests.

    With the defaults a hung engine is Unhealthy `probe_s + 3 * probe_timeout_s + 2 * probe_again_s` = 14 s
    after its last answer, give or take a tick of the wheel, and a refusing one after little more than a second.
    """

    refresh_min_s: float = 30.0  # --engine-refresh-min-interval
    refresh_max_s: float = 60.0  # --engine-refresh-max-interval
    failure_retry: int = 3  # --engine-failure-retry: failures before an engine is Unhealthy

    refresh_cap_s: float = 180.0  # a refresh that keeps failing is tried again after this long at most
    specs_s: float = 300.0  # how old name, size and labels of an engine may get
    retry_min_s: float = 1.0  # a pending engine is tried again after this long, doubled each time
    retry_max_s: float = 60.0
    reopen_min_s: float = 1.0  # a broken event stream, likewise
    reopen_max_s: float = 10.0
    beat_s: float = 8.0  # an event stream is opened for this long, and its end is a sign of life
    probe_s: float = 8.5  # an engine that has said nothing for this long is pinged
    probe_again_s: float = 0.5  # after a failure that is not yet one too many
    failure_spacing_s: float = 0.25  # failures closer than this are one: a burst of requests meets one cause

    probe_timeout_s: float = 1.5
    step_timeout_s: float = 10.0  # each of: resolve, connect, ping, version, info, open the events, inspect
    list_timeout_s: float = 30.0
    control_timeout_s: float = 120.0  # create, start, remove, the head of a pull

    inspects: int = 8  # at once, for one engine


def jittered(seconds: float, spread: float = 0.25) -> float:
    """Return `seconds` less up to `spread` of it, so that a thousand engines do not move in step."""
    return seconds * (1.0 - spread * random.random())  # noqa: S311 - spreads load, hides nothing
