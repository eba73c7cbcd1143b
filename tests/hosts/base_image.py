"""What we are installed on where there is no network: a base image, a machine with systemd (both Debian), and wheels.

`python -m tests.hosts.base_image` makes what is missing in the cache. It takes packages from the mirror and the index
that apt and pip are configured with, so it has to run outside of a sandbox, as root, where debootstrap is.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.hosts import suites

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("python3", "python3-venv", "python3-pip", "binutils")
MACHINE_PACKAGES = ("python3", "python3-venv", "systemd", "docker.io")
# Of no use in a container.
LEFT_OUT = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log", "dev", "proc", "sys"),
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"),
)
PIP_OPTIONS = "--no-index --find-links /src/wheels"  # for a build that has `wheels` in its context


class BaseUnavailableError(RuntimeError):
    """The packages cannot be had."""


def base_archive() -> Path:
    """Return the tar of the base image's root file system, for `docker import`. Raises BaseUnavailableError."""
    return complete(base_directory()) / "root.tar"


def machine_root() -> Path:
    """Return the root file system of a machine with systemd, not to be written to. Raises BaseUnavailableError."""
    return complete(machine_directory()) / "root"


def wheels() -> Path:
    """Return the directory with all packages that the build wants of pip. Raises BaseUnavailableError."""
    return complete(wheels_directory()) / "wheels"


def complete(path: Path) -> Path:
    """Return `path` if nothing of it is missing. Raises BaseUnavailableError."""
    if not (path / "complete").exists():
        raise BaseUnavailableError(
            f"{path} is not there: run `python -m tests.hosts.base_image` with a Debian mirror and PyPI in reach"
        )
    return path


def base_directory() -> Path:
    """Return where the base image is kept."""
    return suites.CACHE / f"base-{release()}-{digest(*PACKAGES)}"


def machine_directory() -> Path:
    """Return where the machine with systemd is kept."""
    return suites.CACHE / f"machine-{release()}-{digest(*MACHINE_PACKAGES)}"


def release() -> str:
    """Return the code name of this machine's Debian release, which is that of the base image."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def wheels_directory() -> Path:
    """Return where the wheels for what pyproject.toml asks for now are kept."""
    return suites.CACHE / f"wheels-{release()}-{digest(*requirements(), platform.machine())}"


def digest(*wanted: str) -> str:
    """Return a short text that is another one if anything else is wanted."""
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]


@functools.cache
def requirements() -> tuple[str, ...]:
    """Return what pyproject.toml says that we need, to run and to be built."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return (*project["project"]["dependencies"], *project["build-system"]["requires"])


def make_base(path: Path) -> None:
    """Make the tar in `path`, and note which Python it has."""
    root = bootstrap(path, PACKAGES)
    left_out = [f"--exclude=./{directory}/*" for directory in LEFT_OUT]
    suites.run(["tar", "-C", str(root), "--numeric-owner", *left_out, "-cf", "root.tar", "."], path, dict(os.environ))
    python = (root / "usr/bin/python3").readlink().name
    (path / "python").write_text(python.removeprefix("python"))
    shutil.rmtree(root)


def make_machine(path: Path) -> None:
    """Make the machine's root in `path`."""
    root = bootstrap(path, MACHINE_PACKAGES)
    for directory in LEFT_OUT:
        shutil.rmtree(root / directory)
        (root / directory).mkdir()


def bootstrap(path: Path, packages: Sequence[str]) -> Path:
    """Return the root of a new Debian with `packages`, in `path`."""
    root = path / "root"
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
    command = ("debootstrap", "--variant=minbase", f"--keyring={suites.KEYRING}", f"--include={','.join(packages)}")
    # In a mount namespace of its own, so that an interruption leaves no mounts.
    suites.run(["unshare", "--mount", *command, release(), str(root), suites.mirror()], path, environment)
    return root


def make_wheels(path: Path) -> None:
    """Download the wheels for the Python of the base image."""
    python = (complete(base_directory()) / "python").read_text()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    what = ("--only-binary=:all:", f"--python-version={python}", "--dest", str(path / "wheels"))
    suites.run([*pip, "download", "--quiet", *what, *requirements()], path, dict(os.environ))


def main() -> int:
    """Return 0 when all is in the cache."""
    suites.CACHE.mkdir(parents=True, exist_ok=True)
    for path, make in (
        (base_directory(), make_base),
        (wheels_directory(), make_wheels),
        (machine_directory(), make_machine),
    ):
        with suites.locked(path.with_suffix(".lock")):
            if (path / "complete").exists():
                continue
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            try:
                make(path)
            except (subprocess.CalledProcessError, suites.SuiteUnavailableError, OSError) as error:
                output = getattr(error, "stderr", None) or getattr(error, "stdout", None) or ""
                reason = " / ".join(output.strip().splitlines()[-3:])
                print(f"cannot make {path}: {error} {reason}\n(the tests of the image will fail)", file=sys.stderr)
                return 1
            (path / "complete").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
