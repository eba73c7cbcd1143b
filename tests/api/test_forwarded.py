"""The table of forwarded routes."""

import pytest

from swarmproxy.api.forwarded import Owner, match


@pytest.mark.parametrize(
    ("method", "path", "owner", "name", "action"),
    [
        ("GET", "/containers/web/top", Owner.CONTAINER, "web", "top"),
        ("GET", "/containers/node-1/web/logs", Owner.CONTAINER, "node-1/web", "logs"),
        ("GET", "/containers/top/top", Owner.CONTAINER, "top", "top"),
        ("GET", "/containers/containers/top", Owner.CONTAINER, "containers", "top"),
        ("GET", "/containers/web/attach/ws", Owner.CONTAINER, "web", "attach/ws"),
        ("GET", "/containers/attach/attach/ws", Owner.CONTAINER, "attach", "attach/ws"),
        ("POST", "/containers/web/attach", Owner.CONTAINER, "web", "attach"),
        ("DELETE", "/containers/node-1/web", Owner.CONTAINER, "node-1/web", ""),
        ("POST", "/exec/abc/start", Owner.EXEC, "abc", "start"),
        ("GET", "/exec/abc/json", Owner.EXEC, "abc", "json"),
        ("POST", "/commit", Owner.COMMITTED, "", ""),
        ("POST", "/auth", Owner.ANYONE, "", ""),
        ("GET", "/images/search", Owner.ANYONE, "", ""),
        ("POST", "/build", Owner.BUILD, "", ""),
        ("POST", "/build/cancel", Owner.CANCELLED, "", ""),
        ("POST", "/session", Owner.SESSION, "", ""),
        ("POST", "/grpc", Owner.CONTROL, "", ""),
        ("GET", "/images/get", Owner.SAVED, "", ""),
        ("GET", "/images/registry:5000/a/b:1/json", Owner.IMAGE, "registry:5000/a/b:1", "json"),
        ("GET", "/images/a/b/attestations", Owner.IMAGE, "a/b", "attestations"),
        ("GET", "/distribution/reg:5000/a/b:1/json", Owner.ANYONE, "reg:5000/a/b:1", "json"),
        ("POST", "/images/a/b/push", Owner.IMAGE, "a/b", "push"),
        ("GET", "/containers/web/checkpoints", Owner.CONTAINER, "web", "checkpoints"),
        ("POST", "/containers/node-1/web/checkpoints", Owner.CONTAINER, "node-1/web", "checkpoints"),
        ("DELETE", "/containers/node-1/web/checkpoints/c1", Owner.CONTAINER, "node-1/web", "checkpoints/c1"),
        ("POST", "/plugins/pull", Owner.NEW_PLUGIN, "", "pull"),
        ("POST", "/plugins/create", Owner.NEW_PLUGIN, "", "create"),
        ("GET", "/plugins/privileges", Owner.NEW_PLUGIN, "", "privileges"),
        ("POST", "/plugins/node-1/vieux/sshfs:latest/enable", Owner.PLUGIN, "node-1/vieux/sshfs:latest", "enable"),
        ("DELETE", "/plugins/node-1/sshfs", Owner.PLUGIN, "node-1/sshfs", ""),
        ("GET", "/swarm/unlockkey", Owner.MANAGER, "", ""),
        ("POST", "/services/create", Owner.MANAGER, "", ""),
        ("GET", "/services/create/logs", Owner.MANAGER, "create", ""),
        ("DELETE", "/configs/web", Owner.MANAGER, "web", ""),
        ("PUT", "/volumes/data", Owner.MANAGER, "data", ""),
    ],
)
def test_match(method: str, path: str, owner: Owner, name: str, action: str) -> None:
    """A route is told by its method and by what stands last; the rest is the name, slashes and all."""
    found = match(method, path)
    assert found is not None
    assert (found[0].owner, found[1], found[0].action) == (owner, name, action)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/json"),
        ("POST", "/swarm/init"),
        ("POST", "/tasks/create"),
        ("DELETE", "/volumes/data"),
        ("GET", "/nodes/x/update"),
        ("GET", "/containers/web/json"),
        ("POST", "/containers/create"),
        ("POST", "/containers/prune"),
        ("POST", "/containers/web/rename"),
        ("POST", "/containers/web/exec"),
        ("GET", "/containers//top"),
        ("POST", "/containers/web/top"),
        ("GET", "/images/json"),
        ("DELETE", "/images/busybox"),
        ("GET", "/info"),
        ("GET", "/plugins"),
        ("GET", "/plugins/node-1/sshfs/json"),
        ("POST", "/containers/web/checkpoints/c1"),
        ("DELETE", "/exec/abc"),
        ("GET", "/"),
    ],
)
def test_no_match(method: str, path: str) -> None:
    """What the cluster answers itself, and what nobody answers, is not forwarded."""
    assert match(method, path) is None
