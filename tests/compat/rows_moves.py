"""Rescheduling: what classic did when a node failed, and came back."""

from tests.compat.row import Table

SHOWN = "Shown with real engines by tests/integration/test_rescheduling.py."

table = Table("Rescheduling")

table.elsewhere(
    "node-failure",
    "a node that fails, with a container under `reschedule:on-node-failure`",
    classic="Made anew on another node as soon as its node counted as unhealthy, under the same name and swarm ID.",
    why=f"The same, but after `swarm.reschedule-after` (30 s): restarting an engine moved everything. {SHOWN}",
)
table.elsewhere(
    "removed-node",
    "a node that discovery lists no more",
    classic="Its containers were rescheduled at once, while they ran on.",
    why="The same after `swarm.reschedule-after`, so that an entry that expires and comes back moves nothing.",
)
table.elsewhere(
    "networks",
    "aliases and addresses of a rescheduled container",
    classic="Lost on networks of one node; a network that was left over from the dead node failed the move.",
    why="Aliases, links, options and fixed addresses are asked for again, and on the first network the MAC address. An "
    "address that is not free is given up, as the log says. A node that lacks one of the networks is not chosen. "
    f"{SHOWN}",
)
table.elsewhere(
    "other-containers",
    "a rescheduled container in the network, IPC or PID space of another that is rescheduled",
    classic="Never: the ID that it named was no more.",
    why=f"It follows the other one, under whose swarm ID it is looked up. {SHOWN}",
)
table.elsewhere(
    "failed-reschedules",
    "a rescheduling that fails",
    classic="Never tried again.",
    why="Tried again with back-off, and when a node comes: tests/cluster/test_rescheduling.py.",
)
table.elsewhere(
    "nameless",
    "rescheduling of containers without a name",
    classic="They were lost.",
    why="They stay known, and get a name from their engine.",
)
table.elsewhere(
    "without-identity",
    "rescheduling of a container with the policy that was not made through a manager",
    classic="Made anew under a new swarm ID.",
    why="It stays: without a swarm ID nobody could tell that it has been made anew already.",
)
table.elsewhere(
    "shut-down",
    "a machine that is shut down in order, which stops its containers first",
    classic="Their copies were created and not started.",
    why="What was killed in the last 20 seconds, or ended then and has a restart policy, counts as running. " + SHOWN,
)
table.elsewhere(
    "credentials",
    "a rescheduled container whose image is in a private registry",
    classic="No credentials: the pull failed.",
    why="Those of its create are kept in the leader's memory while it lives: tests/cluster/test_moves.py.",
)
table.elsewhere(
    "volumes",
    "volumes of a rescheduled container",
    classic="Not moved, and not said; anonymous ones were deleted on the node that came back.",
    why=f"Not moved; the log and the event name them, and those on the node that comes back stay. {SHOWN}",
)
table.elsewhere(
    "duplicates",
    "a node that comes back with a container that was rescheduled",
    classic="Removed by force on the node that connected last, whichever copy ran.",
    why="The latest copy that was ever started stays; the other is stopped with its own time to end, then removed, its "
    f"volumes left. One daemon under two addresses loses nothing. {SHOWN}",
)
table.elsewhere(
    "events",
    "events of a rescheduling",
    classic="None.",
    why=f"`reschedule` of the new container, with `from`, `to`, `old`, `new`, `reason` and `leftBehind`. {SHOWN}",
)
table.elsewhere(
    "leader",
    "a leader that dies while it reschedules",
    classic="What it had created stayed without being started, and the next leader did not know.",
    why="The next one finishes what was begun: tests/integration/test_rescheduling_leaders.py.",
)
