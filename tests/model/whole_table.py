"""The node table of `docker info` as a whole, which the manager keeps ready in parts."""

from collections.abc import Iterable, Sequence

from swarmproxy.model.info import UPDATED_AT, NodeLine, head_rows, node_rows, place_of, updated_text


def system_status(
    role: str, strategy: str, filters: Sequence[str], nodes: Iterable[NodeLine], *, primary: str = ""
) -> list[list[str]]:
    """Return the rows of `SystemStatus`: label and value, engines in the natural order of their names.

    `primary` is the leader's address, shown by a replica.
    """
    lines = sorted(nodes, key=place_of)
    rows = head_rows(role, strategy, filters, len(lines), primary=primary)
    for line in lines:
        above, below = node_rows(line)
        rows += [*above, [UPDATED_AT, updated_text(int(line.updated_at))], *below]
    return rows
