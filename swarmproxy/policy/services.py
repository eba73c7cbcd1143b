"""What a service of swarm mode asks for: its tasks are containers, said in other words."""

from __future__ import annotations

from swarmproxy.policy.body import Folded, number, table, tables, text, texts
from swarmproxy.policy.needs import (
    UNLIMITED,
    USUAL_LOG_DRIVERS,
    Found,
    Need,
    Use,
    mount_needs,
    words,
)

_CONTAINER_SPEC = words(
    """image labels command args hostname env dir user groups privileges stopsignal tty openstdin readonly mounts
    stopgraceperiod healthcheck hosts dnsconfig secrets configs isolation sysctls capabilityadd capabilitydrop init
    ulimits oomscoreadj"""
)
_TASK = words(
    """containerspec pluginspec networkattachmentspec resources restartpolicy placement networks logdriver forceupdate
    runtime"""
)


def of_service(body: Folded) -> Found:
    """Return what the body of a service create or update asks for."""
    needs: list[Need] = []
    uses: list[Use] = []
    task = table(body, "TaskTemplate")
    at = "TaskTemplate."
    needs += (Need("unknown", f"{at}{name}", f"{at}{name}") for name in task if name not in _TASK)
    if (
        text(task, "Runtime", at) not in ("", "container")
        or task.get("pluginspec")
        or task.get("networkattachmentspec")
    ):
        needs.append(Need("privileged", "a task that is no container", f"{at}Runtime"))
    _container(table(task, "ContainerSpec", at), f"{at}ContainerSpec.", needs, uses)
    limits = table(table(task, "Resources", at), "Limits", f"{at}Resources.")
    at_limits = f"{at}Resources.Limits."
    memory, nano, pids = (number(limits, name, at_limits) for name in ("MemoryBytes", "NanoCPUs", "Pids"))
    needs.append(Need("memory", memory if memory > 0 else UNLIMITED, f"{at_limits}MemoryBytes"))
    needs.append(Need("cpus", nano / 1e9 if nano > 0 else UNLIMITED, f"{at_limits}NanoCPUs"))
    needs.append(Need("pids", pids if pids > 0 else UNLIMITED, f"{at_limits}Pids"))
    logs = text(table(task, "LogDriver", at), "Name", at)
    if logs not in USUAL_LOG_DRIVERS:
        needs.append(Need("log_drivers", logs, f"{at}LogDriver"))
    for where, networks in ((f"{at}Networks", tables(task, "Networks", at)), ("Networks", tables(body, "Networks"))):
        for each in networks:
            target = text(each, "Target", f"{where}.")
            if target == "host":
                needs.append(Need("host_namespaces", "network", where))
            elif target:
                uses.append(Use("networks", target, where))
    for port in tables(table(body, "EndpointSpec"), "Ports", "EndpointSpec."):
        published = number(port, "PublishedPort", "EndpointSpec.Ports.")
        needs.append(Need("host_ports", str(published) if published else "random", "EndpointSpec.Ports"))
    return needs, uses


def _container(spec: Folded, at: str, needs: list[Need], uses: list[Use]) -> None:
    needs += (Need("unknown", f"{at}{name}", f"{at}{name}") for name in spec if name not in _CONTAINER_SPEC)
    needs.append(Need("images", text(spec, "Image", at), f"{at}Image"))
    needs.append(Need("users", text(spec, "User", at), f"{at}User"))
    needs += (
        Need("capabilities", name.upper().removeprefix("CAP_"), f"{at}CapabilityAdd")
        for name in texts(spec, "CapabilityAdd", at)
    )
    needs += (Need("sysctls", name, f"{at}Sysctls") for name in table(spec, "Sysctls", at))
    for mount in tables(spec, "Mounts", at):
        mount_needs(mount, f"{at}Mounts", needs, uses)
    _privileges(table(spec, "Privileges", at), f"{at}Privileges", needs)
    if number(spec, "OomScoreAdj", at) < 0:
        needs.append(Need("privileged", "not to be killed when memory is short", f"{at}OomScoreAdj"))
    for kind in ("Secrets", "Configs"):
        for each in tables(spec, kind, at):
            name = text(each, f"{kind[:-1]}ID", f"{at}{kind}.") or text(each, f"{kind[:-1]}Name", f"{at}{kind}.")
            if name:
                uses.append(Use(kind.lower(), name, f"{at}{kind}"))


def _privileges(privileges: Folded, at: str, needs: list[Need]) -> None:
    for name, value in privileges.items():
        if not value or name == "nonewprivileges":
            continue
        mode = text(value, "Mode", f"{at}.") if isinstance(value, dict) else ""
        if (name, mode) in (("seccomp", "default"), ("apparmor", "default")):
            continue
        needs.append(Need("security_options", name, at))
