"""The decision on a request: refused, with the rule that does it, or allowed, with what has to be changed in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmproxy.errors import BadRequest, Forbidden, NotFound
from swarmproxy.model.labels import AFFINITIES, CONSTRAINTS, NAMESPACE, RESCHEDULE_POLICIES, RESOURCES, WHITELISTS
from swarmproxy.policy.asked import PS_ARGS, Asked, is_read
from swarmproxy.policy.globs import fits_any
from swarmproxy.policy.kinds import LISTED_BY_LABEL, OF_ALL, OPEN
from swarmproxy.policy.limits import is_image_id
from swarmproxy.policy.marking import label_maps
from swarmproxy.policy.needs import Need, Use, volume_driver
from swarmproxy.policy.role import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmproxy.policy.identity import Identity
    from swarmproxy.policy.role import Role

_OURS_TO_SAY = frozenset((AFFINITIES, CONSTRAINTS, RESCHEDULE_POLICIES, RESOURCES, WHITELISTS))
_JOINS = frozenset(("networks/connect", "networks/disconnect"))
_FILTERED_BY_NAME = frozenset(("containers/list", "networks/list", "volumes/list"))


class Refused(Forbidden):
    """A request that a rule of the policy refuses. `rule` says which: `roles.team-a.limits.privileged`."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f"refused by the policy ({rule}): {why}")
        self.rule = rule


class OutOfReach(Refused):
    """An object that a role has nothing to do with; `what` and `name` are those of the request."""

    def __init__(self, rule: str, why: str, use: Use) -> None:
        super().__init__(rule, why)
        self.use = use


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object of the cluster that a request means, as far as a policy looks at it."""

    kind: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # of an image
    driver: str = ""  # of a network or volume
    options: Mapping[str, str] = field(default_factory=dict)  # of a volume's driver
    network_mode: str = ""  # of a container
    host_paths: tuple[str, ...] = ()  # that a container mounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What is to be changed in a request that is allowed."""

    labels: Mapping[str, str] = field(default_factory=dict)  # that all it makes gets, and all it lists has
    redact: bool = False  # environments and tokens are taken out of the answer


def required_labels(role: Role, identity: Identity) -> dict[str, str]:
    """Return the labels of all that is the role's own. Raises Refused if the identity does not say whose that is."""
    labels = dict(role.reach.labels)
    if role.owner:
        owner = role.owner_for(identity)
        if not owner:
            raise Refused(
                f"roles.{role.name}.owner", f"{identity.title} has no {role.owner} to tell whose objects are meant"
            )
        labels[OWNER] = owner
    return labels


def permit(role: Role, kind: str | None) -> None:
    """Raise Refused unless `role` may ask for `kind` at all; None is what is not known."""
    if kind is None:
        if not role.everything:
            raise Refused(f"roles.{role.name}.allow", "this is no request that is known")
    elif kind not in role.kinds and kind not in OPEN:
        raise Refused(f"roles.{role.name}.allow", f"{kind} is not allowed")


def decide(
    role: Role,
    identity: Identity,
    asked: Asked,
    needs: Sequence[Need],
    things: Mapping[Use, Sequence[Thing]],
) -> Allowed:
    """Return what is to be changed in a request of a kind that is allowed. Raises Refused, BadRequest.

    `things` are what the uses of the request mean; an empty list is what is not there.
    """
    at = f"roles.{role.name}"
    labels = required_labels(role, identity)
    if role.is_narrow and asked.kind in OF_ALL:
        raise Refused(f"{at}.{_narrowed_by(role)}", f"{asked.kind} is about the objects of everybody")
    if not role.environment and asked.kind == "containers/top" and asked.parameter("ps_args") not in PS_ARGS:
        raise Refused(
            f"{at}.environment", f"ps_args can show environments: it should be one of {sorted(PS_ARGS - {''})}"
        )
    for need in needs:
        _grant(role, need, things)
    for use, meant in things.items():
        if not meant and not use.may_be_new and use.kind != "images":
            raise not_there(use)
        for thing in meant:
            _reach(role, labels, asked, use, thing)
    _name(role, asked)
    if not (role.limits.unlimited and not role.is_narrow):
        _forged(role, labels, asked)
    if asked.kind in LISTED_BY_LABEL and role.reach.names and asked.kind not in _FILTERED_BY_NAME and not labels:
        raise Refused(f"{at}.objects.names", f"{asked.kind} cannot be narrowed to names")
    return Allowed(labels=labels, redact=not role.environment)


def not_there(use: Use) -> NotFound:
    """Return what an engine says of an object that is not there."""
    match use.kind:
        case "containers":
            return NotFound(f"No such container: {use.name}")
        case "exec":
            return NotFound(f"No such exec instance: {use.name}")
        case "volumes":
            return NotFound(f"get {use.name}: no such volume")
        case _:
            return NotFound(f"{use.kind.removesuffix('s')} {use.name} not found")


def _narrowed_by(role: Role) -> str:
    return "owner" if role.owner else "objects.names" if role.reach.names else "objects.labels"


def _grant(role: Role, need: Need, things: Mapping[Use, Sequence[Thing]]) -> None:
    known_as: tuple[str, ...] = ()
    if need.what == "images" and isinstance(need.value, str) and is_image_id(need.value):
        found = things.get(Use("images", need.value, need.where), ())
        known_as = tuple(name for thing in found for name in thing.names)
    if why := role.limits.refuses(need, known_as):
        limit = f"limits.{need.what}" if need.what != "unknown" else "limits"
        raise Refused(f"roles.{role.name}.{limit}", f"{need.where}: {why}")


def _reach(role: Role, labels: Mapping[str, str], asked: Asked, use: Use, thing: Thing) -> None:
    """Raise Refused unless `role` may use `thing` in this way."""
    if thing.kind == "images":
        return
    is_own = all(thing.labels.get(key) == value for key, value in labels.items()) and role.fits_name(thing.name)
    is_own = is_own and role.is_narrow
    if role.is_narrow and not is_own:
        shared = role.reach.shared.get(thing.kind, ())
        only_used = use.where != "path" or is_read(asked.kind) or asked.kind in _JOINS
        if not (only_used and fits_any(shared, thing.name)):
            why = f"{thing.kind.removesuffix('s')} {use.name} is not one of those that {role.name} has to do with"
            raise OutOfReach(f"roles.{role.name}.{_narrowed_by(role)}", why, use)
    if thing.kind == "networks" and thing.driver == "host" and not is_read(asked.kind):
        _grant(role, Need("host_namespaces", "network", use.where), {})
    if is_own:
        return
    if thing.kind == "volumes" and use.where != "path":
        for need in volume_driver(thing.driver, dict(thing.options), f"{use.where}={use.name}"):
            _grant(role, need, {})
    if use.shares == "mounts":
        for path in thing.host_paths:
            _grant(role, Need("binds", path, f"{use.where}={use.name}"), {})
    elif use.shares and (use.shares != "network" or thing.network_mode == "host"):
        _grant(role, Need("host_namespaces", use.shares, f"{use.where}={use.name}"), {})


def _name(role: Role, asked: Asked) -> None:
    new = asked.new_name
    if new is not None and not role.fits_name(new):
        shown = f"the name {new}" if new else "a name is needed, which"
        raise Refused(f"roles.{role.name}.objects.names", f"{shown} fits none of {', '.join(role.reach.names)}")


def _forged(role: Role, labels: Mapping[str, str], asked: Asked) -> None:
    """Raise Refused for labels that say whose something is, or that only the cluster itself sets."""
    for where, given in label_maps(asked):
        for key, value in given.items():
            if key == OWNER or key in labels:
                if labels.get(key) != value:
                    rule = "owner" if key == OWNER else "objects.labels"
                    raise Refused(f"roles.{role.name}.{rule}", f"{where}: the label {key} is not yours to set")
            elif key.startswith(f"{NAMESPACE}.") and key not in _OURS_TO_SAY:
                raise Refused(f"roles.{role.name}", f"{where}: the label {key} is set by the cluster itself")


def check_parameters(parameters: Mapping[str, Sequence[str]], query: bytes) -> None:
    """Raise BadRequest for a query that engines may take apart in another way than we do."""
    if b";" in query:
        raise BadRequest("a semicolon in the query: write %3B")
    for name in ("filters", "fromImage", "fromSrc", "repo", "tag", "name", "container"):
        if len(parameters.get(name, ())) > 1:
            raise BadRequest(f"the parameter {name} is there {len(parameters[name])} times")
