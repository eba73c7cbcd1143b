"""Where the addresses of engines come from. Start at `open_backend`; it imports nothing of swarmproxy."""

from discovery.backend import Backend, Listing
from discovery.election import Election, Standing
from discovery.entry import MAX_ENTRIES, Entry, expand, parse_entry
from discovery.errors import DiscoveryError, DiscoveryRefusedError
from discovery.keeping import ChangedElsewhereError, Keeper
from discovery.opening import check_lock, open_backend, open_election, open_keeper, open_roster, split_url

__all__ = [
    "MAX_ENTRIES",
    "Backend",
    "ChangedElsewhereError",
    "DiscoveryError",
    "DiscoveryRefusedError",
    "Election",
    "Entry",
    "Keeper",
    "Listing",
    "Standing",
    "check_lock",
    "expand",
    "open_backend",
    "open_election",
    "open_keeper",
    "open_roster",
    "parse_entry",
    "split_url",
]
