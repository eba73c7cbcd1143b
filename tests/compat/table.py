"""All tables, in the order of the reader: from the command line to the engines."""

from tests.compat import (
    rows_builds,
    rows_cli,
    rows_create,
    rows_engines,
    rows_events,
    rows_expressions,
    rows_filters,
    rows_images,
    rows_info,
    rows_list,
    rows_lookup,
    rows_managers,
    rows_moves,
    rows_networks,
    rows_operating,
    rows_owner,
    rows_routes,
    rows_scheduler,
    rows_transport,
    rows_volumes,
)
from tests.compat.row import Row, Table

TABLES: tuple[Table, ...] = tuple(
    module.table
    for module in (
        rows_cli,
        rows_transport,
        rows_routes,
        rows_lookup,
        rows_info,
        rows_list,
        rows_owner,
        rows_events,
        rows_create,
        rows_scheduler,
        rows_filters,
        rows_expressions,
        rows_images,
        rows_volumes,
        rows_builds,
        rows_networks,
        rows_engines,
        rows_managers,
        rows_operating,
        rows_moves,
    )
)
ROWS: tuple[Row, ...] = tuple(row for table in TABLES for row in table.rows)
