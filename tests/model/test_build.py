"""What a build asks for, and the query that its engine gets."""

import json
from urllib.parse import parse_qs, urlencode

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.model.build import BuildRequest


def parsed(**parameters: object) -> BuildRequest:
    return BuildRequest.parse(
        urlencode({name: json.dumps(value) if isinstance(value, dict) else value for name, value in parameters.items()})
    )


def sent(request: BuildRequest, cpus: int = 4) -> dict[str, list[str]]:
    return parse_qs(request.query_for(cpus), keep_blank_values=True)


def test_expressions() -> None:
    """Expressions among the build arguments and in labels are the scheduler's; the engine gets all others."""
    request = parsed(
        buildargs={"constraint:node": "=a", "affinity:image": "=~x", "VERSION": "1", "EMPTY": None, "other:x": ""},
        labels={"com.docker.swarm.constraints": '["storage==ssd"]', "kept": "yes"},
        t="made:1",
    )
    assert request.spec.expressions.constraints == ("storage==ssd", "node==a")
    assert request.spec.expressions.affinities == ("image==~x",)
    query = sent(request)
    assert json.loads(query["buildargs"][0]) == {"VERSION": "1", "EMPTY": None, "other:x": ""}
    assert json.loads(query["labels"][0]) == {"kept": "yes"}
    assert query["t"] == ["made:1"]


def test_unchanged() -> None:
    """What is not ours goes on as it came: repeated, empty and unknown parameters, and JSON that we need not write."""
    query = "t=a%3A1&t=b%3A1&target=&buildargs=%7B%22a%22%3A+%22%C3%A4+%2B%22%7D&ulimits=null&new=1&node=x"
    request = BuildRequest.parse(query)
    assert parse_qs(request.query_for(4), keep_blank_values=True) == {
        "t": ["a:1", "b:1"],
        "target": [""],
        "buildargs": ['{"a": "ä +"}'],
        "ulimits": ["null"],
        "new": ["1"],
    }


def test_limits() -> None:
    """Memory and CPU shares count for the scheduler; shares are whole cores, and scaled for the engine's."""
    request = parsed(memory=1 << 20, cpushares=2, cpuquota=0)
    assert (request.spec.memory_bytes, request.spec.cpus) == (1 << 20, 2)
    assert sent(request, cpus=4)["cpushares"] == ["512"]
    assert sent(parsed(cpushares=0))["cpushares"] == ["0"]


@pytest.mark.parametrize(
    ("given", "build_id", "uploads_for"), [("", "", ""), ("abc", "abc", ""), ("upload-request:abc", "", "abc")]
)
def test_build_id(given: str, build_id: str, uploads_for: str) -> None:
    """A request that only uploads names the build it is for."""
    request = parsed(buildid=given, session="s")
    assert (request.session, request.build_id, request.uploads_for) == ("s", build_id, uploads_for)


@pytest.mark.parametrize("query", ["buildargs=[]", "labels={", "memory=much", "buildargs=%ff", 'labels={"a":1}'])
def test_refused(query: str) -> None:
    """What is not as the API says is refused."""
    with pytest.raises(BadRequest, match="invalid"):
        BuildRequest.parse(query)
