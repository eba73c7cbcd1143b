"""The kinds of error that discovery raises."""


class DiscoveryError(Exception):
    """A list of engines cannot be named, read or written; the message says why in one sentence."""


class DiscoveryRefusedError(DiscoveryError):
    """What was asked for can never be had from this service: trying again is of no use."""
