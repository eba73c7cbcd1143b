"""What is counted in and out is what a count of all would find."""

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.holdings import MAX_LABELS, Holdings, image_names
from swarmproxy.model.image import Image
from swarmproxy.model.ports import PortClaim, Ports, claims_of

NUMBERS = st.sampled_from(["80", "81", "80-82", "79-99", "90-8000", "", "0", "x"])
CONTAINERS = st.builds(
    Container,
    id=st.sampled_from("abcd"),
    name=st.sampled_from(["", "web", "db"]),
    labels=st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["", "x", "y"])),
    network_mode=st.sampled_from(["bridge", "host"]),
    exposed=st.sampled_from([(), ("80/tcp",), ("80-90/udp",)]),
    published=st.lists(
        st.builds(
            PortBinding,
            container_port=st.sampled_from(["80/tcp", "80/udp"]),
            host_ip=st.sampled_from(["", "0.0.0.0", "::", "10.0.0.1", "10.0.0.2"]),
            host_port=NUMBERS,
        ),
        max_size=3,
    ).map(tuple),
)


@given(st.lists(st.one_of(CONTAINERS, st.sampled_from("abcd"))))
def test_counted(changes: list[Container | str]) -> None:
    """Names, values of labels and ports are those of the containers that are there now."""
    held = Holdings()
    held.values_of("app")
    there: dict[str, Container] = {}
    for change in changes:
        if isinstance(change, str):
            assert held.drop(change) == there.pop(change, None)
        else:
            held.put(change)
            there[change.id] = change
    assert held.containers == there
    assert set(held.names) == {each.name for each in there.values() if each.name}
    for label in ("app", "tier"):
        assert set(held.values_of(label)) == {each.labels.get(label, "") for each in there.values()}
    taken = [claim for each in there.values() for claim in claims_of(each)]
    for protocol in ("tcp", "udp"):
        for first, last in ((80, 80), (82, 90), (95, 2000), (9000, 9000)):
            for ip in ("", "10.0.0.1", "10.0.0.3"):
                wanted = PortClaim(protocol, first, last, ip)
                assert held.ports.meet([wanted]) is any(map(wanted.meets, taken))


def test_nothing_is_left() -> None:
    """When all containers have gone, nothing of them stays."""
    claims = claims_of(Container(id="a", published=(PortBinding(container_port="1/tcp", host_port="8000-8003"),)))
    ports = Ports()
    for _ in range(2):
        ports.add(claims)
    for _ in range(2):
        ports.take(claims)
    assert ports._addresses == {}


def test_labels_are_bounded() -> None:
    """Whoever asks for ever new labels does not fill the memory, and still gets answers."""
    held = Holdings([Container(id="a", labels={"app": "x"})])
    for number in range(3 * MAX_LABELS):
        assert held.values_of(f"label-{number}") == {"": 1}
    assert len(held._values) == MAX_LABELS
    held.put(Container(id="b", labels={"app": "y"}))
    assert held.values_of("app") == {"x": 1, "y": 1}


def test_image_names() -> None:
    """An image is meant by its ID in three forms, its tags and digests, and their repositories."""
    image = Image(
        id=f"sha256:{'ab' * 32}",
        tags=("host:5000/team/app:1", "app:latest"),
        digests=(f"app@sha256:{'cd' * 32}",),
    )
    assert image_names([image]) == {
        f"sha256:{'ab' * 32}",
        "ab" * 32,
        "ab" * 6,
        "host:5000/team/app:1",
        "host:5000/team/app",
        "app:latest",
        f"app@sha256:{'cd' * 32}",
        f"sha256:{'cd' * 32}",
        "app",
    }
