"""The page's application: it reads the cluster's state as it is kept for requests, and asks no engine anything."""

import asyncio
import ipaddress
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from swarmproxy import __version__
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.errors import Forbidden
from swarmproxy.model.times import NANOSECONDS, format_rfc3339
from swarmproxy.page import search as searching
from swarmproxy.page.audience import EVERYBODY, Audience
from swarmproxy.page.cards import Card, Cards
from swarmproxy.page.drawing import Drawing, read_assets
from swarmproxy.page.feed import Feed, Happened, Place
from swarmproxy.page.overview import SINGLE, ManagerView, swarm_of, warnings_of
from swarmproxy.page.search import Search

NODES_PER_PAGE = 1000
MAX_STREAMS = 200
CARDS = "<!-- cards -->"  # which no text of others can be: it would be escaped
PIECE = 60  # cards that are sent, and drawn, together; full rows in whatever number of columns
NOT_KEPT = {"cache-control": "no-store"}
MAX_WORDS_LENGTH = 200

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        b"require-trusted-types-for 'script'; trusted-types swarmproxy",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Of every answer: nothing is loaded from elsewhere, no script or style stands in the page, nobody frames it."""

AudienceOf = Callable[[Request], Audience]


def build(
    cluster: Cluster,
    *,
    overcommit: float = 0.05,
    managers: Callable[[], Sequence[ManagerView]] = lambda: (SINGLE,),
    problem: Callable[[], str] = lambda: "",
    audience_of: AudienceOf = lambda _request: EVERYBODY,
    is_local: bool = False,
) -> "Guarded":
    """Return the application. `problem` says why what operators said may not be known in full.

    `audience_of` tells who reads, and raises Forbidden for who may not. With `is_local`, the page is for this machine
    only, and answers to no name but its own.
    """
    return Guarded(_Pages(cluster, overcommit, managers, problem, audience_of).application(), is_local=is_local)


class Guarded:
    """An application of which every answer carries HEADERS."""

    def __init__(self, app: Starlette, *, is_local: bool) -> None:
        self._app = app
        self._is_local = is_local

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        if self._is_local and not is_name_of_this_machine(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse(
                "this page is for this machine, under its own name only\n", 421, headers=NOT_KEPT
            )
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)


def is_name_of_this_machine(host: str) -> bool:
    """Return whether a `Host` header is one that no other site can have: a site's own name may be made to mean us."""
    name = re.sub(r":[0-9]*$", "", host.lower())
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return name in ("localhost", socket.gethostname().lower())
    return True


class _Pages:
    def __init__(
        self,
        cluster: Cluster,
        overcommit: float,
        managers: Callable[[], Sequence[ManagerView]],
        problem: Callable[[], str],
        audience_of: AudienceOf,
    ) -> None:
        self._cluster = cluster
        self._managers = managers
        self._problem = problem
        self._audience_of = audience_of
        self._assets = read_assets()
        self._drawing = Drawing(
            self._assets,
            version=__version__,
            host=socket.gethostname(),
            rfc3339=lambda seconds: format_rfc3339(seconds * NANOSECONDS),
            states=searching.STATES,
        )
        self._cards = Cards(cluster, overcommit, lambda view: self._drawing.part("card", node=view))
        self._feed = Feed(
            cluster.hub,
            self._cards,
            run=secrets.token_hex(4),
            draw_events=self._draw_events,
            draw_overview=self._draw_overview,
        )
        self._searching = asyncio.Lock()  # one after the other: each takes its time from requests to the cluster
        self._streams = 0

    def application(self) -> Starlette:
        """Return what answers."""
        routes = [
            Route("/", self.nodes),
            Route("/containers", self.containers),
            Route("/events", self.events),
            Route("/part/nodes", self.nodes_part),
            Route("/part/containers", self.containers_part),
            Route("/live", self.live),
            Route("/static/{digest}/{name}", self.asset),
            Route("/favicon.ico", self.icon),
        ]
        return Starlette(routes=routes, exception_handlers={Forbidden: _refuse})

    # -- pages

    async def nodes(self, request: Request) -> Response:
        """Answer with the overview, the cards of the nodes and the last events."""
        audience = self._audience_of(request)
        await self._cards.look()
        shown, grid = await self._draw_nodes(request, audience)
        happened = self._feed.recent(audience)
        return _with_cards(
            self._page("nodes.html", audience, grid=grid, words=_words(request), happened=happened), shown
        )

    async def containers(self, request: Request) -> Response:
        """Answer with a page of the table of containers."""
        audience = self._audience_of(request)
        await self._cards.look()
        search = Search.parse(request.query_params)
        table = await self._draw_containers(search, audience)
        return _whole(self._page("containers.html", audience, search=search, table=table))

    async def events(self, request: Request) -> Response:
        """Answer with the last events."""
        audience = self._audience_of(request)
        await self._cards.look()
        return _whole(self._page("events.html", audience, happened=self._feed.recent(audience)))

    def _page(self, template: str, audience: Audience, **values: Any) -> str:
        overview = self._draw_overview(audience)
        return self._drawing.draw(template, place=self._feed.place, overview=overview, **values)

    # -- parts of pages, for scripts

    async def nodes_part(self, request: Request) -> Response:
        """Answer with the cards of the nodes."""
        await self._cards.look()
        shown, grid = await self._draw_nodes(request, self._audience_of(request))
        return _with_cards(grid, shown)

    async def containers_part(self, request: Request) -> Response:
        """Answer with the table of containers."""
        search = Search.parse(request.query_params)
        return _whole(await self._draw_containers(search, self._audience_of(request)))

    async def live(self, request: Request) -> Response:
        """Answer with what happens, for as long as the page is open."""
        audience = self._audience_of(request)
        if self._streams >= MAX_STREAMS:
            return Response("too many pages are open", 503, {"retry-after": "30", **NOT_KEPT})
        said = request.headers.get("last-event-id") or request.query_params.get("place", "")
        messages = self._counted(audience, Place.parse(said))
        headers = {"x-accel-buffering": "no", **NOT_KEPT}
        return StreamingResponse(messages, media_type="text/event-stream", headers=headers)

    async def _counted(self, audience: Audience, place: Place | None) -> AsyncIterator[str]:
        self._streams += 1
        try:
            async with aclosing(self._feed.stream(audience, place)) as messages:  # type: ignore[type-var]
                async for message in messages:
                    yield message
        finally:
            self._streams -= 1

    # -- files

    async def asset(self, request: Request) -> Response:
        """Answer with a file, which may be kept for ever: its address changes with it."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None or request.url.path != asset.url:
            return Response("no such file", 404, media_type="text/plain")
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def icon(self, _request: Request) -> Response:
        """Answer with the icon, for who does not look for its address in the page."""
        asset = self._assets["mark.svg"]
        return Response(asset.content, media_type=asset.media_type, headers={"cache-control": "max-age=3600"})

    # -- drawing

    def _draw_overview(self, audience: Audience) -> str:
        return self._drawing.part(
            "overview",
            totals=self._cards.totals if audience.sees_nodes else None,
            managers=self._managers(),
            swarm=swarm_of(self._cluster) if audience.sees_nodes else None,
            warnings=warnings_of(self._cluster.source, self._problem()),
        )

    def _draw_events(self, happened: Sequence[Happened], left_out: int) -> str:
        return self._drawing.part("events", happened=happened, left_out=left_out)

    async def _draw_nodes(self, request: Request, audience: Audience) -> tuple[Sequence[Card], str]:
        """Return cards, and the text in which CARDS stands for them."""
        words, asked = _words(request), request.query_params.get("page", "")
        cards = await self._chosen(words) if audience.sees_nodes else []
        pages = max(1, -(-len(cards) // NODES_PER_PAGE))
        page = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
        text = self._drawing.part(
            "nodes",
            cards=CARDS,
            count=len(cards),
            words=words,
            page=page,
            pages=pages,
            is_known=audience.sees_nodes,
        )
        return cards[(page - 1) * NODES_PER_PAGE : page * NODES_PER_PAGE], text

    async def _chosen(self, text: str) -> list[Card]:
        """Return the cards that mention each word of `text`."""
        words = text.lower().split()
        cards = self._cards.all()
        if not words:
            return cards
        chosen = []
        for at, card in enumerate(cards):
            if at % 256 == 255:
                await asyncio.sleep(0)
            if all(card.view.mentions(word) for word in words):
                chosen.append(card)
        return chosen

    async def _draw_containers(self, search: Search, audience: Audience) -> str:
        async with self._searching:
            found = await searching.find(self._cluster.index.newest, search, audience)
        return self._drawing.part("containers", found=found, search=search)


def _words(request: Request) -> str:
    return request.query_params.get("q", "").strip()[:MAX_WORDS_LENGTH]


async def _refuse(_request: Request, error: Exception) -> Response:
    """Answer those to whom a policy gives no role."""
    return PlainTextResponse(f"{error}\n", 403, headers=NOT_KEPT)


def _whole(text: str) -> Response:
    return HTMLResponse(text, headers=NOT_KEPT)


def _with_cards(text: str, cards: Sequence[Card]) -> Response:
    """Return the answer with `cards` in their place: a thousand are too much to be put together in one piece."""

    async def pieces() -> AsyncIterator[str]:
        head, _, tail = text.partition(CARDS)
        yield head
        for at in range(0, len(cards), PIECE):
            piece = cards[at : at + PIECE]
            kind = "nodes full" if len(piece) == PIECE else "nodes"
            yield f'<ul class="{kind}" aria-label="Nodes {at + 1} to {at + len(piece)}">'
            yield "".join([card.html for card in piece]) + "</ul>"
            await asyncio.sleep(0)
        yield tail

    return StreamingResponse(pieces(), media_type="text/html", headers=NOT_KEPT)
