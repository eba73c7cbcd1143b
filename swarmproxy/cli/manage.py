"""`manage`: its flags. `reading.py` makes settings of them, `swarmproxy.manage` does the work."""

import sys
from pathlib import Path
from typing import Any

import click

from swarmproxy import process
from swarmproxy.cli.commands import GoCommand, program
from swarmproxy.cli.goflags import GO_INT
from swarmproxy.cli.limits import NOTES
from swarmproxy.cli.options import Globals, advertise, discovery_options, flag, text, texts
from swarmproxy.cli.reading import ManageFlags, read_settings
from swarmproxy.settings import FILTERS


@click.pass_context
def _manage(ctx: click.Context, /, **params: Any) -> int:
    """Check the flags and run the manager."""
    settings = read_settings(ManageFlags(**params), ctx.ensure_object(Globals), program=program(ctx))
    if settings.audit == Path("-"):
        ctx.ensure_object(Globals).log_to(sys.stderr)
    process.begin()
    # What a manager needs is slow to import, and no other command needs it.
    from swarmproxy.manage import run

    return run(settings)


manage = GoCommand(
    "manage",
    alias="m",
    callback=_manage,
    help="Manage a docker cluster",
    params=[
        text("--strategy", default="spread", help="where to place containers: spread, binpack or random"),
        texts("filters", "--filter", "-f", help=f"filters to use, in order; all are: {', '.join(FILTERS)}"),
        texts("--host", "-H", envvar="SWARM_HOST", help="where to listen, tcp://host:port or unix://path"),
        text("--socket-group", help="group that owns unix sockets to listen on"),
        flag("--replication", help="let one of several managers lead"),
        text("--replication-ttl", default="20s", help="time after which a silent leader is replaced"),
        advertise(),
        text("--state-file", help="file to keep drained nodes and their labels in, where there is no store for it"),
        texts("--authz-plugin", help="Docker authorization plugin, [name=]http://host:port or [name=]unix://path"),
        text("--policy", help="file that says who may do what (see `policy check`)"),
        text("--policy-learn", help="refuse nothing, and write the policy that was needed to this file"),
        flag("--tls", help="use TLS"),
        text("--tlscacert", help="trust only certificates that this CA signed"),
        text("--tlscert", help="path of the TLS certificate"),
        text("--tlskey", help="path of the TLS key"),
        flag("--tlsverify", help="use TLS and verify the other side"),
        flag("--engine-tls", default=None, help="use TLS towards engines (default: as --tls)"),
        text("--engine-tlscacert", help="CA of the engines (default: --tlscacert)"),
        text("--engine-tlscert", help="certificate to show to engines (default: --tlscert)"),
        text("--engine-tlskey", help="its key (default: --tlskey)"),
        flag("--engine-tlsverify", default=None, help="verify engines (default: as --tlsverify)"),
        text(
            "--engine-refresh-min-interval",
            default="30s",
            help="shortest time between refreshes",
        ),
        text(
            "--engine-refresh-max-interval",
            default="60s",
            help="longest time between refreshes",
        ),
        click.Option(
            ["--engine-failure-retry"],
            type=GO_INT,
            default=3,
            help="failures after which an engine is unhealthy",
        ),
        click.Option(["--engine-refresh-retry"], type=GO_INT, default=3, help="deprecated"),
        text("--heartbeat", default="60s", help="time between two looks at the discovery service"),
        text("--drain-timeout", default="8s", help="how long requests may take to end on SIGTERM"),
        text("--metrics-addr", help="where to serve /metrics, /-/healthy and /-/ready, host:port"),
        flag("--metrics-tls", help="use TLS there too, as --tls says"),
        text(
            "--audit",
            help="file to record every request in, one JSON object a line; - for stdout",
        ),
        flag("--audit-reads", default=True, help="record requests that only read, too"),
        text("--page-addr", help="where to serve the cluster page for browsers, host:port"),
        flag("--page-tls", help="use TLS there too, as --tls says"),
        flag("cors", "--api-enable-cors", "--cors", help="send CORS headers"),
        text("--cluster-driver", "-c", default="swarm", help="cluster driver: swarm"),
        discovery_options(),
        texts("--cluster-opt", help="cluster options, key=value (see below)"),
        texts("--limit", help="what a client may take, key=value (see below)"),
        flag("--refresh-on-node-filter", help="refresh an engine when containers are listed with its name"),
        text("--container-name-refresh-filter", help="refresh all engines when this name is looked for"),
    ],
    notes=(
        ("swarm.overcommit=0.05", "overcommit to apply on resources"),
        ("swarm.createretry=0", "container create retry count after initial failure"),
        ("swarm.reschedule-after=30s", "how long a node may be silent before its containers are rescheduled"),
        ("swarm.imageplatform=on", "containers go to nodes that their image is made for, off: anywhere"),
        ("swarm.imageties=on", "of equal nodes prefer one that holds the image, off: do not look"),
        ("swarm.imagemove=on", "move an image to a node that cannot pull it, off: use a node that has it"),
        ("swarm.names=auto", "names in container lists: auto (by client), node, both or plain"),
        ("swarm.mode=use", "swarm mode: use (a swarm that members are in), auto (form one of all members) or off"),
        ("swarm.managers=N", "managers of a swarm that is formed: 1, 3, 5 or 7; by default by the number of members"),
        ("swarm.network=auto", "driver of networks that ask for none: auto, bridge or overlay"),
        *NOTES,
    ),
)
