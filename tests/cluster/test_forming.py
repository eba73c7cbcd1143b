"""Members become one swarm and stay it; the rest is tested on real engines, in tests/integration/test_swarm_*.py."""

import asyncio
import json
import time

from swarmproxy.cluster.forming import Forming
from tests.cluster.image_daemon import ImageDaemon, clustered
from tests.engine.harness import eventually

AFTER_S = 3.0


async def test_patience_with_operators() -> None:
    """Too few managers are made good when they have been too few for a while, and not when we happen to look."""
    daemons = [ImageDaemon(f"node-{number}") for number in (1, 2, 3)]
    nodes = []
    for number, daemon in enumerate(daemons, start=1):
        manages = number == 1
        daemon.info_fields["Swarm"] = {
            "NodeID": f"n{number}",
            "LocalNodeState": "active",
            "ControlAvailable": manages,
            "RemoteManagers": [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}],
        }
        node = {"ID": f"n{number}", "Version": {"Index": 7}, "Spec": {"Role": "manager" if manages else "worker"}}
        nodes.append(node | {"Status": {"State": "ready"}} | ({"ManagerStatus": {"Leader": True}} if manages else {}))
    first = daemons[0]
    first.answers["/nodes"] = 200, json.dumps(nodes).encode()
    for number in (2, 3):
        first.answers[f"/nodes/n{number}/update"] = 200, b""
    async with clustered(daemons) as cluster:
        began_at = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(Forming(cluster, after_s=AFTER_S).run())
            await eventually(lambda: first.asked("GET /nodes") > 0)
            await eventually(lambda: first.asked("POST /nodes/n2/update") > 0)
            assert time.monotonic() - began_at >= AFTER_S
            await eventually(lambda: first.asked("POST /nodes/n3/update") > 0)
            running.cancel()
