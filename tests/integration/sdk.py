"""docker-py at a manager, and what its tests share."""

import contextlib
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.tls import TLSConfig

from tests.hosts.manager import Manager
from tests.waiting import PATIENCE_S

# docker-py leaves sockets of exec, attach and archives to the garbage collector.
forgets_sockets = pytest.mark.filterwarnings("ignore:unclosed <(socket|ssl):ResourceWarning")


@contextmanager
def connected(manager: Manager, *, unix: bool = False, **options: Any) -> Iterator[docker.DockerClient]:
    """Lend a client of `manager`; `options` as DockerClient has them."""
    base_url = f"unix://{manager.socket_path}" if unix else f"tcp://{manager.address}"
    if (pair := manager.client) is not None and not unix:
        options["tls"] = TLSConfig(client_cert=(str(pair.cert), str(pair.key)), ca_cert=str(pair.ca), verify=True)
        base_url = f"https://{manager.address}"
    with (
        unguided(),
        contextlib.closing(
            docker.DockerClient(base_url=base_url, **{"version": "auto", "timeout": PATIENCE_S, **options})
        ) as client,
    ):
        yield client
    gc.collect()  # what docker-py forgot is closed here, where `forgets_sockets` does not mind


@contextmanager
def unguided() -> Iterator[None]:
    """Take away what the machine's environment tells `requests`: it would trust other authorities than ours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield


def sleeper(client: docker.DockerClient, name: str = "", **options: Any) -> Container:
    """Return a running container that does nothing, and ends at once when it is told to."""
    command = ["sh", "-c", "trap exit TERM INT; while :; do sleep 0.1; done"]
    return client.containers.run("busybox", command, detach=True, **({"name": name} if name else {}), **options)


def node_of(container: Container) -> str:
    """Return the name of the node that the container is on."""
    container.reload()
    return str(container.attrs["Node"]["Name"])
