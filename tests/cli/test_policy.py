"""`swarmproxy policy`: what a file says, and whether a request would be allowed."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from swarmproxy.cli.app import app
from swarmproxy.errors import ConfigError
from swarmproxy.policy.identity import hash_of

POLICY = f"""
version = 1
[[bind]]
role = "team"
certificate = {{ ou = "team-*" }}
[[bind]]
role = "admin"
unix = {{ uid = 0 }}
manager = false
[[bind]]
role = "team"
token = "{hash_of("x")}"
name = "ci"
[roles.team]
allow = ["@run", "@read"]
limits.memory = "1g"
[roles.owned]
allow = ["@run"]
owner = "{{ou}}"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return str(path)


def run(*arguments: str) -> int:
    return app.main(args=["policy", *arguments], prog_name="swarmproxy", standalone_mode=False) or 0


def test_summary(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is right is shown as who has which role."""
    assert run("check", file) == 0
    assert re.sub(" +", " ", capsys.readouterr().out).splitlines() == [
        "BINDING WHO ROLE",
        "1 certificate cn=* ou=team-* team",
        "2 unix uid=0 admin",
        "3 token ci team",
        "- all others (refused)",
    ]


def test_one_identity(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What one may ask for is listed."""
    assert run("check", "--as", "ou=team-a", file) == 0
    assert "has the role team" in (said := capsys.readouterr().out)
    assert "  containers/create\n" in said
    assert run("check", file, "--as", "cn=x,ou=other") == 0
    assert "has no role and is refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("who", "method", "path", "code", "said"),
    [
        ("ou=team-a", "GET", "/v1.41/containers/json", 0, "allowed: certificate: has the role team"),
        ("token=ci", "GET", "/containers/web/logs?stdout=1", 0, "allowed: token:ci has the role team"),
        ("uid=0", "GET", "/nothing", 0, "and this is not known"),
        ("ou=team-a", "GET", "/containers/web/export", 1, "(roles.team.allow): containers/export is not allowed"),
        ("ou=team-a", "GET", "/containers/web/json/../export", 1, "this is no request that is known"),
        ("ou=team-a", "POST", "/containers/web/start", 0, "this is containers/start"),
        ("cn=x", "GET", "/info", 1, "certificate:x has no role, and there is no default"),
    ],
)
def test_request(
    file: str, capsys: pytest.CaptureFixture[str], who: str, method: str, path: str, code: int, said: str
) -> None:
    """Whether a request is allowed is said, with the rule, and told by the exit code."""
    assert run("check", file, "--as", who, method, path) == code
    assert said in capsys.readouterr().out


def test_bodies(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided by what is asked for needs the body, from a file or from stdin."""
    asked = ("check", file, "--as", "ou=team-a", "POST", "/containers/create")
    with pytest.raises(ConfigError, match="give a file with the body"):
        run(*asked)
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"Image": "x", "HostConfig": {"Memory": 1024, "CapAdd": ["ALL"]}}))
    assert run(*asked, str(body)) == 1
    assert "roles.team.limits.capabilities" in capsys.readouterr().out
    stdin = io.TextIOWrapper(io.BytesIO(b'{"Image":"x","HostConfig":{"Memory":1024}}'))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(*asked, "-") == 0


def test_own_objects(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where objects decide, it is said which ones have to be the role's own."""
    path = tmp_path / "owned.toml"
    path.write_text(POLICY.replace('role = "team"\ncertificate', 'role = "owned"\ncertificate'))
    assert run("check", str(path), "--as", "ou=team-a", "POST", "/containers/web/stop") == 0
    assert "  if container web is one of its own, or shared with it\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "policy check takes a file"),
        (["check", "FILE", "GET", "/info"], "say who and what"),
        (["check", "FILE", "--as", "ou=x", "GET"], "say who and what"),
        (["check", "FILE", "--as", "name=x"], "--as: 'name=x' should be cn="),
        (["check", "FILE", "--as", "uid=x"], "--as: 'uid=x' should be a number"),
        (["check", "/nowhere/policy.toml"], "cannot be read: No such file"),
        (["token", "x"], "policy token takes no arguments"),
    ],
)
def test_misuse(file: str, arguments: list[str], said: str) -> None:
    """What is wrong with the command is said."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        run(*(file if each == "FILE" else each for each in arguments))


def test_wrong_file(tmp_path: Path) -> None:
    """All that is wrong is said, with file and line."""
    path = tmp_path / "policy.toml"
    path.write_text('version = 1\n[roles.a]\nallow = ["x"]\n[roles.b]\n')
    with pytest.raises(ConfigError) as refused:
        run("check", str(path))
    lines = str(refused.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path)] * 2
    assert "line 3: roles.a.allow" in lines[0]
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is no UTF-8"):
        run("check", str(path))


def test_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A new token is shown once, on stderr, and its line for the file on stdout; each is another one."""
    assert run("token") == 0
    first = capsys.readouterr()
    token = first.err.strip().removeprefix("Authorization: Bearer ")
    assert first.out == f'token = "{hash_of(token)}"\n'
    assert len(token) >= 40
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))
    assert run("token", "-") == 0
    assert capsys.readouterr().out == first.out
    assert run("token") == 0
    assert capsys.readouterr().out != first.out
