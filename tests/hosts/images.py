"""Images without a registry: archives that `docker load` takes, made of a static busybox.

The same arguments give the same bytes, so an image has one ID on all engines.
"""

import functools
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
CREATED = "2024-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


@functools.cache
def busybox_layer() -> bytes:
    """Return the tar of a root file system: busybox, links for its applets, and the usual directories."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        add_file(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for name in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for name, text in FILES.items():
            add_file(tar, name, text.encode())
    return buffer.getvalue()


def add_file(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """Add a file to `tar`; all times are 0."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def busybox_archive(
    *tags: str,
    cmd: Sequence[str] = ("sh",),
    labels: Mapping[str, str] | None = None,
    config: Mapping[str, object] | None = None,
) -> bytes:
    """Return an archive for `docker load`: one image, busybox, with `tags` ("busybox:latest" if none).

    `config` adds to the image's configuration: {"ExposedPorts": {"80/tcp": {}}}, {"Healthcheck": ...}, ...
    """
    layer = busybox_layer()
    image = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": CREATED,
        "config": {
            "Env": ["PATH=/bin:/usr/bin"],
            "Cmd": list(cmd),
            "Labels": dict(labels or {}),
            **(config or {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": CREATED, "created_by": "busybox-static"}],
    }
    body = json.dumps(image).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": list(tags or ("busybox:latest",)), "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add_file(tar, "layer.tar", layer)
        add_file(tar, name, body)
        add_file(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()
