"""What we show and whom we trust, on each side: contexts made from the files that the operator or discovery named."""

import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from discovery.entry import Certificates, Entry
from swarmproxy.errors import ConfigError
from swarmproxy.settings import Settings, Tls
from swarmproxy.wire import tls
from swarmproxy.wire.address import Address
from swarmproxy.wire.tls import RenewableContext

log = logging.getLogger("swarmproxy.certificates")


def as_client(files: Tls | None) -> RenewableContext | None:
    """Return the context of connections that we dial; None for plain TCP. Raises ConfigError."""
    if files is None:
        return None
    make = functools.partial(tls.client_context, cert=files.cert, key=files.key, ca=files.ca, verify=files.verify)
    return RenewableContext(make)


def towards_clients(files: Tls | None) -> RenewableContext | None:
    """Return the context of the listeners; None for plain TCP. Raises ConfigError."""
    if files is None:
        return None
    if files.cert is None or files.key is None:
        raise ConfigError("--tlscert and --tlskey must be provided when using --tls")
    ca = files.ca if files.verify else None
    return RenewableContext(functools.partial(tls.server_context, cert=files.cert, key=files.key, ca=ca))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """What is spoken TLS with on each side; None: it is in the clear."""

    engines: "EngineContexts"
    clients: RenewableContext | None
    managers: RenewableContext | None

    @classmethod
    def of(cls, settings: Settings) -> "Contexts":
        """Return what the operator's files give. Raises ConfigError.

        Managers reach each other with the files that they serve with: as with classic, the certificate is a client's
        as well.
        """
        return cls(
            engines=EngineContexts(as_client(settings.engine_tls)),
            clients=towards_clients(settings.tls),
            managers=as_client(settings.tls) if settings.replication is not None else None,
        )


class EngineContexts:
    """What to speak TLS with to each engine: what the operator gave for all, or what discovery knows of one."""

    def __init__(self, for_all: RenewableContext | None) -> None:
        self._for_all = for_all
        self._known: dict[Address, Certificates] = {}
        self._made: dict[Certificates, RenewableContext] = {}  # hosts share files, and a context takes long to make

    def learn(self, entries: Iterable[Entry]) -> None:
        """Take in which files discovery names."""
        self._known = {Address.parse(str(each)): each.certificates for each in entries if each.certificates}

    def of(self, address: Address) -> RenewableContext | None:
        """Return the context for `address`; None: in the clear. Files that cannot be used are logged."""
        files = self._known.get(address)
        if self._for_all is not None or files is None:
            return self._for_all
        if files not in self._made:
            try:
                self._made[files] = as_client_of(files)
            except ConfigError as error:
                log.error("Discovery error", extra={"entry": str(address), "error": str(error)})  # noqa: TRY400
                return None
        return self._made[files]

    def renew(self) -> None:
        """Read all files again. Raises ConfigError for the first that cannot be used: its old ones stay."""
        problems: list[ConfigError] = []
        for context in (self._for_all, *self._made.values()):
            try:
                if context is not None:
                    context.renew()
            except ConfigError as error:
                problems.append(error)
        if problems:
            raise problems[0]


def as_client_of(files: Certificates) -> RenewableContext:
    """Return the context for the engines that discovery names `files` of. Raises ConfigError."""
    cert, key, ca = Path(files.cert), Path(files.key), Path(files.ca)
    return RenewableContext(functools.partial(tls.client_context, cert=cert, key=key, ca=ca, verify=True))
