"""The operators' application, mounted beside Docker's API, with a description of its own (OpenAPI)."""

from fastapi import FastAPI

from swarmproxy import __version__
from swarmproxy.api.operators import explain, nodes, rebalance
from swarmproxy.api.parts import Parts
from swarmproxy.api.refusals import answer_errors

PREFIX = "/swarmproxy/v1"

_MESSAGE = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
_ERROR = {"description": "Refused, or failed: why", "content": {"application/json": {"schema": _MESSAGE}}}


def build(parts: Parts) -> FastAPI:
    """Return the application, which shares `parts` with the one that it is mounted in."""
    app = FastAPI(
        title="swarmproxy",
        version=__version__,
        description=(
            "What operators ask of a manager beside Docker's API, at the same addresses. "
            'Of several managers the one that leads answers. An error is `{"message": "..."}`.'
        ),
        docs_url=None,  # its page would be fetched from a foreign site
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": _ERROR, "5XX": _ERROR},
    )
    app.state.parts = parts
    app.include_router(nodes.router)
    app.include_router(rebalance.router)
    app.include_router(explain.router)
    answer_errors(app)
    return app
