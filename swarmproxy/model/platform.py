"""What images are made for, and what engines run: `linux/amd64`, `linux/arm/v7`.

Source: the OCI image specification, and Docker's words for what kernels call their machines.
"""

from __future__ import annotations

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armv8l": "arm/v7",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "i386": "386",
    "i686": "386",
    "loongarch64": "loong64",
}
_ALSO_RUNS = {"amd64": "386", "arm64": "arm"}


def platform_of(os_type: str, architecture: str, variant: str = "") -> str:
    """Return the platform; empty if it is not known."""
    if not os_type or not architecture:
        return ""
    machine = _ARCHITECTURES.get(architecture.lower(), architecture.lower())
    parts = (os_type.lower(), machine, variant if "/" not in machine else "")
    return "/".join(filter(None, parts))


def parse_platform(text: str) -> str:
    """Return the platform that a client writes as `linux/arm64`, `arm64` or `linux/arm/v7`; empty for an empty text."""
    if not text:
        return ""
    os_type, slash, rest = text.partition("/")
    if not slash:
        return platform_of("linux", text) if text.lower() not in ("linux", "windows") else ""
    architecture, _, variant = rest.partition("/")
    return platform_of(os_type, architecture, variant)


def runs_on(image: str, engine: str) -> bool:
    """Return whether an image for one platform runs on an engine of another; what is not known is no obstacle.

    An older variant of the same architecture does, and what today's processors run as well.
    """
    if not image or not engine:
        return True
    (image_os, image_machine, image_variant), (engine_os, machine, variant) = _parts(image), _parts(engine)
    if image_os != engine_os:
        return False
    if image_machine == machine:
        return machine != "arm" or not image_variant or not variant or image_variant <= variant
    return _ALSO_RUNS.get(machine) == image_machine


def _parts(platform: str) -> tuple[str, str, str]:
    os_type, _, rest = platform.partition("/")
    machine, _, variant = rest.partition("/")
    return os_type, machine, variant
