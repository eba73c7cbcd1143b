"""Entries and ranges."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from discovery import MAX_ENTRIES, DiscoveryError, Entry, expand, parse_entry

hosts = st.one_of(
    st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,30}", fullmatch=True),
    st.ip_addresses().map(str),
)
ports = st.integers(1, 65535)
entries = st.one_of(
    st.builds(Entry, hosts, ports),
    st.from_regex(r"/[a-z0-9/. _-]{1,40}", fullmatch=True).map(lambda path: Entry(path=path)),
)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("10.0.0.1:2375", Entry("10.0.0.1", 2375)),
        ("host-name_42:1", Entry("host-name_42", 1)),
        ("[2001:db8:0:f101::3]:65535", Entry("2001:db8:0:f101::3", 65535)),
        ("[fe80::1%eth0]:2375", Entry("fe80::1%eth0", 2375)),
        ("bücher.example:2375", Entry("bücher.example", 2375)),
        ("unix:///var/run/docker.sock", Entry(path="/var/run/docker.sock")),
        ("ssh://build1", Entry("build1", ssh=True)),
        ("ssh://root@10.0.0.1:2222", Entry("10.0.0.1", 2222, user="root", ssh=True)),
        ("ssh://me@[fe80::1]", Entry("fe80::1", user="me", ssh=True)),
        ("ssh://[fe80::1]:22/run/docker.sock", Entry("fe80::1", 22, "/run/docker.sock", ssh=True)),
    ],
)
def test_good(text: str, entry: Entry) -> None:
    """An address is a host and a port, or a unix socket, and prints as it was written."""
    assert parse_entry(text) == entry
    assert str(entry) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("foo", "missing port in address"),
        ("", "missing port in address"),
        ("::1:2375", "too many colons in address"),
        ("http://1.1.1.1:2375", "too many colons in address"),
        ("[::1]:1:2", "too many colons in address"),
        ("[::1]", "missing port in address"),
        ("[::1]2375", "missing port in address"),
        ("[::1:2375", "missing ']' in address"),
        ("a]b:1", "unexpected ']' in address"),
        ("a[x]:1", "unexpected '[' in address"),
        ("host:", "invalid port in address"),
        ("host:0", "invalid port in address"),
        ("host:65536", "invalid port in address"),
        ("host:-1", "invalid port in address"),
        ("host:٣", "invalid port in address"),
        ("host:1\n", "invalid port in address"),
        (":2375", "missing host in address"),
        ("a b:1", "invalid host in address"),
        ("a/b:1", "invalid host in address"),
        ("user@host:1", "invalid host in address"),
        ("h\x00:1", "invalid host in address"),
        ("h" * 300 + ":1", "invalid host in address"),
        ("unix://relative", "a unix socket needs an absolute path"),
        ("ssh://", "missing host in address"),
        ("ssh://-oProxyCommand=x", "invalid host in address"),
        ("ssh://-l@host", "invalid user in address"),
        ("ssh://host:0", "invalid port in address"),
        ("ssh://a b", "invalid host in address"),
        ("unix:///" + "x" * 107, "a unix socket's path has no NUL and at most 107 bytes"),
    ],
)
def test_bad(text: str, problem: str) -> None:
    """What is no address is refused with Go's words, and a very long one is not repeated whole."""
    with pytest.raises(DiscoveryError) as error:
        parse_entry(text)
    assert str(error.value).endswith(f": {problem}")
    assert len(str(error.value)) < 300


@given(entries)
def test_round_trip(entry: Entry) -> None:
    """Every entry is read back from what it prints."""
    assert parse_entry(str(entry)) == entry


@given(st.text())
@example("[")
@example("[]:")
@example("unix://")
def test_any_text(text: str) -> None:
    """Any text at all is either an entry that prints as one, or a DiscoveryError."""
    try:
        entry = parse_entry(text)
    except DiscoveryError:
        return
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a:1", ["a:1"]),
        ("10.0.0.[1:3]:2375", ["10.0.0.1:2375", "10.0.0.2:2375", "10.0.0.3:2375"]),
        ("h:[2:4]375", ["h:2375", "h:3375", "h:4375"]),
        ("h[5:5]:1", ["h5:1"]),
        ("h[3:1]:1", []),
        ("[::1]:2375", ["[::1]:2375"]),
        ("[::1]:[1:2]", ["[::1]:1", "[::1]:2"]),
        ("h[a:b]:1", ["h[a:b]:1"]),
        ("unix:///run/d[1:2].sock", ["unix:///run/d1.sock", "unix:///run/d2.sock"]),
    ],
)
def test_ranges(pattern: str, expected: list[str]) -> None:
    """One range of whole numbers may stand anywhere, both ends included; anything else is left as it is."""
    assert list(expand(pattern)) == expected


@given(st.text("ab.:", max_size=5), st.integers(-300, 300), st.integers(-300, 300), st.text("ab.:", max_size=5))
def test_range_size(before: str, first: int, last: int, after: str) -> None:
    """A range stands for one address per number, in order, each different."""
    expanded = list(expand(f"{before}[{first}:{last}]{after}"))
    assert len(expanded) == max(0, last - first + 1)
    assert expanded == [f"{before}{number}{after}" for number in range(first, last + 1)]


@given(st.text())
def test_no_range(text: str) -> None:
    """A pattern without brackets stands for itself."""
    assume("[" not in text)
    assert list(expand(text)) == [text]


@pytest.mark.parametrize("pattern", ["h[0:65536]:1", "h[0:999999999999999999]:1", "h[-999999999:999999999]:1"])
def test_range_is_bounded(pattern: str) -> None:
    """No range stands for more addresses than a list may have."""
    with pytest.raises(DiscoveryError, match=f"range is over {MAX_ENTRIES} addresses"):
        list(expand(pattern))
    assert len(list(expand("h[1:65536]:1"))) == MAX_ENTRIES


def test_two_ranges() -> None:
    """A second range in one address is refused, since their product has no bound."""
    with pytest.raises(DiscoveryError, match=r"only one \[from:to\] range is allowed"):
        list(expand("10.0.[1:9].[1:9]:2375"))
