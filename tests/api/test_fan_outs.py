"""What is asked of many nodes is asked of each once, and of so many at a time."""

import asyncio

from swarmproxy.cluster.broadcast import AT_ONCE
from tests.api.image_front import front
from tests.cluster.image_daemon import Asked
from tests.compat.daemon import Daemon, Unread

NODES = AT_ONCE + 16
MESH, WEB, EXEC = "cd" * 32, "ab" * 32, "ef" * 32
REQUESTS = {  # what a client asks: what that asks of each engine
    "GET /images/json?shared-size=1": "/images/json",
    "GET /containers/json?size=1": "/containers/json",
    "GET /events?since=1&until=2": "/events",
    "GET /system/df": "/system/df",
    "GET /plugins": "/plugins",
    "GET /networks/mesh": f"/networks/{MESH}",
    f"GET /exec/{EXEC}/json": f"/exec/{EXEC}/json",
    "POST /containers/prune": "/containers/prune",
    "POST /images/prune": "/images/prune",
    "POST /networks/prune": "/networks/prune",
    'POST /volumes/prune?filters={"all":["true"]}': "/volumes/prune",
    "POST /build/prune": "/build/prune",
    "POST /images/create?fromImage=app&tag=1": "/images/create",
    "POST /images/app:1/tag?repo=app&tag=2": "/images/app:1/tag",
    "DELETE /images/app:1": "/images/app:1",
    "POST /volumes/create": "/volumes/create",
    "DELETE /volumes/data": "/volumes/data",
}


class Crowd:
    """What many daemons are doing at the same time."""

    def __init__(self) -> None:
        self.path = ""
        self.asked = self.busy = self.most = 0
        self.is_full = asyncio.Event()

    def watch(self, path: str) -> None:
        """Count what is asked for at `path` from now on."""
        self.path, self.asked, self.busy, self.most = path, 0, 0, 0
        self.is_full.clear()


class Member(Daemon):
    """Answers what is watched when as many are asked as may be: so it is seen if there are more."""

    def __init__(self, name: str, crowd: Crowd) -> None:
        super().__init__(name, networks=[{"Name": "mesh", "Id": MESH, "Scope": "global"}])
        self.crowd = crowd
        self.script = answers
        self.hold("aa" * 32, "app:1")
        self.volumes = [{"Name": "data", "Driver": "local", "Scope": "local"}]
        joined = {"NetworkSettings": {"Networks": {"mesh": {"NetworkID": MESH}}}}
        self.put(f"web-{name}", f"{name}-".ljust(64, "0"), inspect=joined)
        self.answers |= dict.fromkeys(REQUESTS.values(), (200, b"{}"))
        self.answers |= {"/plugins": (200, b"[]"), f"/exec/{EXEC}/json": (404, b"{}")}
        for path in ("/images/json", "/containers/json", "/events"):
            del self.answers[path]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        crowd = self.crowd
        if Asked(head, reader, writer).path != crowd.path:
            return await super()._answer(Unread(head, reader), writer)
        crowd.asked += 1
        crowd.busy += 1
        crowd.most = max(crowd.most, crowd.busy)
        if crowd.asked >= AT_ONCE:
            crowd.is_full.set()
        try:
            async with asyncio.timeout(20):
                await crowd.is_full.wait()
            await asyncio.sleep(0.02)
        finally:
            crowd.busy -= 1  # before the answer, on which the next one is asked
        return await super()._answer(Unread(head, reader), writer)


async def answers(asked: Asked) -> None:
    """Do with an image what is asked for."""
    await asked.body()
    await asked.answer(200, [{"Untagged": "app:1"}] if asked.method == "DELETE" else {})


async def test_bounded() -> None:
    """However many nodes there are, no request asks more than so many of them at a time."""
    crowd = Crowd()
    members = [Member(f"n{number}", crowd) for number in range(NODES)]
    async with front(members) as manager:
        for member in members:  # they are followed already
            member.answers["/events"] = (200, b"")
        for request, path in REQUESTS.items():
            method, _, target = request.partition(" ")
            crowd.watch(path)
            answer = await manager.client.request(method, target, json={"Name": "data"} if "create" in path else None)
            assert answer.status_code < 400 or "/exec/" in path, (request, answer.text)
            assert (crowd.asked, crowd.most) == (NODES, AT_ONCE), request
