"""How what a request makes gets the labels of its owner, and how a list is narrowed to what has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.filters import parse_filters
from swarmproxy.policy.body import folded, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swarmproxy.policy.asked import Asked

_SAME_IN_MOUNTS = frozenset(("", "rw", "ro", "nocopy"))


def label_maps(asked: Asked) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where a body has labels, and the labels. Raises BadRequest for labels that are none."""
    if not isinstance(asked.folded, dict):
        return
    places = [("Labels", asked.folded)]
    if asked.makes == "services":
        spec = (asked.folded.get("tasktemplate") or {}).get("containerspec") or {}
        places.append(("TaskTemplate.ContainerSpec.Labels", spec))
        mounts = spec.get("mounts") or ()
    else:
        mounts = (asked.folded.get("hostconfig") or {}).get("mounts") or () if asked.makes == "containers" else ()
    places += [("Mounts.VolumeOptions.Labels", mount.get("volumeoptions") or {}) for mount in mounts]
    for where, members in places:
        labels = members.get("labels")
        if labels is None:
            continue
        if not isinstance(labels, dict) or not all(isinstance(value, str | None) for value in labels.values()):
            raise BadRequest(f"invalid JSON: {where} should be an object of texts")
        yield where, {key: value or "" for key, value in labels.items()}


def mark(asked: Asked, labels: Mapping[str, str]) -> Any:
    """Return the body of `asked` with `labels` on all that it makes, volumes that it makes on the way included."""
    body = dict(asked.body or {})
    _add(body, labels)
    if asked.makes == "services":
        task_key = key_of(body, "TaskTemplate")
        task = body[task_key] = dict(body.get(task_key) or {})
        spec_key = key_of(task, "ContainerSpec")
        spec = task[spec_key] = dict(task.get(spec_key) or {})
        _add(spec, labels)
        _mark_mounts(spec, labels, [])
    elif asked.makes == "containers":
        host_key = key_of(body, "HostConfig")
        host = dict(body.get(host_key) or {})
        binds_key = key_of(host, "Binds")
        binds = host.get(binds_key) or []
        volumes = [each for each in ([binds] if isinstance(binds, str) else binds) if _names_volume(each)]
        if volumes or host.get(key_of(host, "Mounts")):
            _mark_mounts(host, labels, [_as_mount(each) for each in volumes])
            if volumes:
                host[binds_key] = [each for each in binds if each not in volumes]
            body[host_key] = host
    return body


def _add(members: dict[str, Any], labels: Mapping[str, str]) -> None:
    key = key_of(members, "Labels")
    members[key] = {**(members.get(key) or {}), **labels}


def _mark_mounts(members: dict[str, Any], labels: Mapping[str, str], more: Sequence[dict[str, Any]]) -> None:
    key = key_of(members, "Mounts")
    mounts = [*(members.get(key) or ()), *more]
    if not mounts:
        return
    members[key] = [_marked(mount, labels) for mount in mounts]


def _marked(mount: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    if folded(mount).get("type") not in (None, "", "volume"):
        return mount
    mount = dict(mount)
    key = key_of(mount, "VolumeOptions")
    options = mount[key] = dict(mount.get(key) or {})
    _add(options, labels)
    return mount


def _names_volume(bind: str) -> bool:
    source, colon, _ = bind.partition(":")
    return bool(colon) and not source.startswith("/")


def _as_mount(bind: str) -> dict[str, Any]:
    """Return `volume:path[:options]` as a mount, which can carry labels. Raises BadRequest for other options."""
    source, _, rest = bind.partition(":")
    target, _, options = rest.partition(":")
    words = set(options.split(","))
    if not words <= _SAME_IN_MOUNTS:
        raise BadRequest(
            f"the volume in {bind!r} cannot get an owner with these options: make it first, or use --mount"
        )
    mount: dict[str, Any] = {"Type": "volume", "Source": source, "Target": target}
    if "ro" in words:
        mount["ReadOnly"] = True
    if "nocopy" in words:
        mount["VolumeOptions"] = {"NoCopy": True}
    return mount


def narrowed(filters: str, labels: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the parameter `filters` that leaves what has `labels` and one of `names` (globs) of what the client wants.

    Raises BadRequest for filters that cannot be read, or that name objects in a way that cannot be narrowed.
    """
    wanted: dict[str, list[str]] = {key: list(values) for key, values in parse_filters(filters).items()}
    if labels:
        # All labels of a filter have to be there, so one more narrows. But swarm mode keeps one value of each key, and
        # nobody knows which: so there is only ours.
        theirs = [value for value in wanted.get("label", ()) if value.partition("=")[0] not in labels]
        for text in wanted.get("label", ()):
            key, equals, value = text.partition("=")
            if equals and labels.get(key, value) != value:
                raise BadRequest(f"the filter label={key} is set by the policy, and cannot be {value!r}")
        wanted["label"] = [*theirs, *(f"{key}={value}" for key, value in labels.items())]
    if names:
        if wanted.get("name"):
            raise BadRequest("the filter name cannot be used by this role, whose lists are narrowed by it")
        wanted["name"] = [f"^/?{_as_regex(name)}$" for name in names]
    return msgspec.json.encode(wanted).decode()


def _as_regex(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in glob)
