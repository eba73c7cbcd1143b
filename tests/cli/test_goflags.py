"""Flags as Go reads them."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cli.goflags import TwoForms, canonical, parse_int
from swarmproxy.cli.manage import manage


def _canonical(*args: str) -> list[str]:
    return canonical(click.Context(manage), args, positionals_first=True)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("", "--"),
        ("a:1", "-- a:1"),
        ("--tls a:1", "--tls=true -- a:1"),
        ("-tls a:1", "--tls=true -- a:1"),
        ("-tls=false a:1", "--tls=false -- a:1"),
        ("--strategy binpack a:1", "--strategy=binpack -- a:1"),
        ("-strategy=binpack a:1", "--strategy=binpack -- a:1"),
        ("--strategy= a:1", "--strategy= -- a:1"),
        ("--strategy=a=b a:1", "--strategy=a=b -- a:1"),
        ("-H :1 -H=:2 a:1", "--host=:1 --host=:2 -- a:1"),
        ("--addr x:1 a:1", "--advertise=x:1 -- a:1"),
        ("a:1 --tls", "--tls=true -- a:1"),
        ("a:1 b:1 -tls", "--tls=true -- a:1 b:1"),
        ("--tls a:1 -H :1", "--tls=true -- a:1 -H :1"),
        ("--tls -- --odd", "--tls=true -- --odd"),
        ("--strategy --tls a:1", "--strategy=--tls -- a:1"),
        ("-", "-- -"),
        ("-h", "--help=true --"),
    ],
)
def test_forms(args: str, expected: str) -> None:
    """One dash or two, `=` or a space; positionals before the flags, or after them, where they end them."""
    assert _canonical(*args.split()) == expected.split()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("a --tls b -H :1 c", "--tls=true --host=:1 -- a b c"),
        ("a -- --tls b", "-- a --tls b"),
        ("- -H :1", "--host=:1 -- -"),
    ],
)
def test_flags_anywhere(args: str, expected: str) -> None:
    """Where flags may stand anywhere, positionals keep their order, and only `--` ends the flags."""
    found = canonical(click.Context(manage), args.split(), positionals_first=True, flags_anywhere=True)
    assert found == expected.split()


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ("--nope", "flag provided but not defined: -nope"),
        ("-nope=1", "flag provided but not defined: -nope"),
        ("--strateg x", "flag provided but not defined: -strateg"),
        ("-Hx", "flag provided but not defined: -Hx"),
        ("---tls", "bad flag syntax: ---tls"),
        ("-=x", "bad flag syntax: -=x"),
        ("--=x", "bad flag syntax: --=x"),
        ("--strategy", "flag needs an argument: -strategy"),
    ],
)
def test_errors(args: str, error: str) -> None:
    """A bad flag is complained of in Go's words."""
    with pytest.raises(click.UsageError) as caught:
        _canonical(*args.split())
    assert caught.value.message == error


@pytest.mark.parametrize(
    ("args", "pair"),
    [
        ("--advertise a:1 --addr b:1", "addr advertise"),
        ("--addr a:1 --advertise b:1", "addr advertise"),
        ("-f port --filter health", "f filter"),
        ("-H :1 --host :2", "H host"),
        ("--cors --api-enable-cors", "cors api-enable-cors"),
        ("-c swarm --cluster-driver swarm", "c cluster-driver"),
    ],
)
def test_two_forms(args: str, pair: str) -> None:
    """Both spellings of one flag at once are refused, in whatever order they come."""
    with pytest.raises(TwoForms) as caught:
        _canonical(*args.split())
    assert caught.value.message == f"Cannot use two forms of the same flag: {pair}"


@given(st.lists(st.text("-=aHtls", max_size=6), max_size=6))
def test_any_arguments(args: list[str]) -> None:
    """Any arguments at all have a canonical form that keeps every positional, or are a usage error."""
    try:
        form = _canonical(*args)
    except click.UsageError:
        return
    flags, positionals = form[: form.index("--")], form[form.index("--") + 1 :]
    assert all("=" in flag for flag in flags)
    assert all(args.count(positional) >= 1 for positional in positionals)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("42", 42),
        ("-3", -3),
        ("+3", 3),
        ("0x1F", 31),
        ("010", 8),
        ("0o17", 15),
        ("0b101", 5),
        ("", None),
        ("1.5", None),
        ("08", None),
        (" 1", None),
        ("1_0", None),
        ("9223372036854775808", None),
        ("-9223372036854775808", -(2**63)),
        ("1" * 5000, None),
    ],
)
def test_integers(text: str, number: int | None) -> None:
    """Whole numbers may have one of Go's base prefixes and fit 64 bits."""
    assert parse_int(text) == number
