"""One node's progress: many layers told as of one thing."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.api.progress import Layers, encode_line
from swarmproxy.cluster.broadcast import Detail, Line


def line(status: str, layer: str = "", current: int = 0, total: int = 0, units: str = "") -> Line:
    return Line(status=status, id=layer, progress=Detail(current, total, units))


def told(*lines: Line) -> list[tuple[str, int, int] | str]:
    """Return what the node says of `lines`: status and amounts, or the status alone."""
    layers = Layers()
    said = [layers.take(each) for each in lines]
    return [
        each[0] if each[1] is None else (each[0], each[1].current, each[1].total) for each in said if each is not None
    ]


def test_layers_are_added_up() -> None:
    """The amounts of all layers in one phase are one bar, which never loses what a finished layer brought."""
    assert told(
        line("Downloading", "a", 10, 100),
        line("Downloading", "b", 10, 300),
        Line(status="Download complete", id="a"),
        line("Downloading", "b", 200, 300),
    ) == [
        ("Downloading", 10, 100),
        ("Downloading", 20, 400),
        "Download complete",
        ("Downloading", 300, 400),
    ]


def test_phase_with_the_most_to_do_is_shown() -> None:
    """While others are downloaded, the extraction of a layer is not shown: the line would flicker."""
    assert told(
        line("Downloading", "a", 100, 100),
        line("Downloading", "b", 100, 1000),
        line("Extracting", "a", 50, 100),
        line("Downloading", "b", 1000, 1000),
        line("Extracting", "b", 10, 1000),
    ) == [
        ("Downloading", 100, 100),
        ("Downloading", 200, 1100),
        ("Extracting", 60, 1100),
    ]


def test_nothing_is_said_twice() -> None:
    """A status that is there already, and an amount that changes no percent, are not told again."""
    assert told(
        Line(status="Waiting", id="a"),
        Line(status="Waiting", id="b"),
        line("Downloading", "a", 1000, 100_000),
        line("Downloading", "a", 1001, 100_000),
        line("Downloading", "a", 2000, 100_000),
        Line(),
    ) == ["Waiting", ("Downloading", 1000, 100_000), ("Downloading", 2000, 100_000)]


def test_units_are_passed_on() -> None:
    """What is counted in other units than bytes is not added up, and keeps its unit."""
    layers = Layers()
    assert layers.take(line("Extracting", "a", 3, units="s")) == ("Extracting", Detail(3, 0, "s"))
    text = encode_line("n0", "Extracting", Detail(3, 0, "s"))
    assert text == b'{"status":"Extracting","progressDetail":{"current":3,"units":"s"},"id":"n0"}\r\n'


def test_a_line_keeps_its_place() -> None:
    """A line without amounts has an empty `progressDetail`: else the CLI forgets where its lines are."""
    assert encode_line("n0", "Done") == b'{"status":"Done","progressDetail":{},"id":"n0"}\r\n'


names = st.sampled_from(["a", "b", "c"])
phases = st.sampled_from(["Downloading", "Extracting", "Pull complete", "Waiting"])
lines = st.builds(line, phases, names, st.integers(0, 200), st.integers(-1, 100))


@given(st.lists(lines, max_size=30))
def test_any_order_of_lines(given_lines: list[Line]) -> None:
    """Whatever an engine says, in whatever order, can be told."""
    layers = Layers()
    for each in given_lines:
        said = layers.take(each)
        if said is not None:
            msgspec.json.decode(encode_line("n0", *said))
            assert said[0] == each.status
