"""The listener for those that watch: `/metrics`, `/-/healthy` and `/-/ready`."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from swarmproxy.monitoring.readiness import Readiness


def build(registry: CollectorRegistry, readiness: Readiness) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="swarmproxy", openapi_url=None, redirect_slashes=False)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Answer in the format that the scraper prefers."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    @app.get("/-/healthy")
    async def healthy() -> PlainTextResponse:
        """Answer: whoever can is alive."""
        return PlainTextResponse("OK\n")

    @app.get("/-/ready")
    async def ready() -> JSONResponse:
        """Answer 200, or 503 with the reasons."""
        reasons = await readiness.reasons()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    return app
