"""Docker engines, clients and stores of other Debian releases, unpacked into a cache; apt's own state is not touched.

`python -m tests.hosts.suites` fetches what is missing; it needs the machine's Debian mirror, so it has to run
outside of a sandbox. The mirror is the one that apt is configured with.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

CACHE = Path(os.environ.get("SWARMPROXY_CACHE", "/var/cache/swarmproxy-tests"))
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CLIENT_PACKAGES = ("docker-cli", "docker-compose", "docker-buildx")
ENGINE_PACKAGES = ("docker.io", "containerd")
SUITES = {"26.1": "trixie", "28": "sid"}  # version asked for -> suite that has it, or a newer one
TINI = {"trixie": "tini", "sid": "tini-static"}  # the package with the static tini, which is docker-init
STORES = {  # store -> the suite that has it, and its packages there
    "consul": ("bullseye", ("consul",)),
    "etcd-3.5": ("sid", ("etcd-server",)),
}
COMPOSE_1 = (  # the last docker-compose in Python, and what it imports: the machine's own interpreter runs it
    "docker-compose",
    "python3-attr",
    "python3-cached-property",
    "python3-certifi",
    "python3-chardet",
    "python3-charset-normalizer",
    "python3-distro",
    "python3-docker",
    "python3-dockerpty",
    "python3-docopt",
    "python3-dotenv",
    "python3-idna",
    "python3-jsonschema",
    "python3-more-itertools",
    "python3-pkg-resources",
    "python3-pyrsistent",
    "python3-requests",
    "python3-six",
    "python3-texttable",
    "python3-typing-extensions",
    "python3-urllib3",
    "python3-websocket",
    "python3-yaml",
    "python3-zipp",
)
COMPOSE_1_SUITE = "bookworm"
GO = (  # Docker's client library as of 20.10, what it imports, and what builds a program on it
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-containerd-containerd-dev",
    "golang-github-docker-distribution-dev",
    "golang-github-docker-docker-dev",
    "golang-github-docker-go-connections-dev",
    "golang-github-docker-go-units-dev",
    "golang-github-gogo-protobuf-dev",
    "golang-github-opencontainers-go-digest-dev",
    "golang-github-opencontainers-image-spec-dev",
    "golang-github-pkg-errors-dev",
    "golang-github-sirupsen-logrus-dev",
    "golang-golang-x-net-dev",
    "golang-golang-x-sys-dev",
    "golang-golang-x-text-dev",
)
GO_SUITE = "bookworm"
GO_SOURCE = Path(__file__).parents[1] / "clients" / "go" / "main.go"
HOST_VERSION = "20.10"  # docker.io of Debian 12, installed on the machine itself
PATIENCE = ("-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30")


class SuiteUnavailableError(RuntimeError):
    """The packages of another Debian release cannot be had."""


def root_of(version: str) -> Path:
    """Return where `version` is unpacked. Raises SuiteUnavailableError if it was not fetched."""
    path = CACHE / SUITES[version]
    if not (path / "complete").exists():
        raise SuiteUnavailableError(
            f"docker {version} (Debian {SUITES[version]}) is not in {CACHE}: "
            "run `python -m tests.hosts.suites` with a Debian mirror in reach"
        )
    return path


def engine_path(version: str) -> Path:
    """Return the directory to put first in PATH so that `dockerd` and its helpers are those of `version`."""
    return Path("/usr/sbin") if version == HOST_VERSION else root_of(version) / "path"


def client_path(version: str) -> Path:
    """Return the docker program of `version`."""
    # Not what PATH says: a machine may have another client in /usr/local.
    return Path("/usr/bin/docker") if version == HOST_VERSION else root_of(version) / "usr/bin/docker"


def store_root(name: str) -> Path:
    """Return where the store `name` is unpacked. Raises SuiteUnavailableError if it was not fetched."""
    suite, _ = STORES[name]
    path = CACHE / f"{name}-{suite}"
    if not (path / "complete").exists():
        raise SuiteUnavailableError(
            f"{name} (Debian {suite}) is not in {CACHE}: "
            "run `python -m tests.hosts.suites` with a Debian mirror in reach"
        )
    return path


def plugins(version: str) -> dict[str, Path]:
    """Return name -> path of the CLI plugins (compose v2, buildx) of `version`; the host's has none."""
    if version == HOST_VERSION:
        return {}
    return {path.name: path for path in (root_of(version) / "usr/libexec/docker/cli-plugins").iterdir()}


def compose_1_root() -> Path:
    """Return where docker-compose 1.29 is unpacked. Raises SuiteUnavailableError if it was not fetched."""
    path = CACHE / f"compose-1.29-{COMPOSE_1_SUITE}"
    if not (path / "complete").exists():
        raise SuiteUnavailableError(
            f"docker-compose 1.29 (Debian {COMPOSE_1_SUITE}) is not in {CACHE}: "
            "run `python -m tests.hosts.suites` with a Debian mirror in reach"
        )
    return path


def go_program() -> Path:
    """Return the program in Go on Docker's client library. Raises SuiteUnavailableError if it was not built."""
    path = CACHE / go_directory()
    if not (path / "complete").exists():
        raise SuiteUnavailableError(
            f"the program of {GO_SOURCE} is not in {CACHE}: "
            "run `python -m tests.hosts.suites` with a Debian mirror in reach"
        )
    return path / "program"


def go_directory() -> str:
    """Return the name of the directory that the program is in: another one whenever it has changed."""
    return f"go-{GO_SUITE}-{hashlib.sha256(GO_SOURCE.read_bytes()).hexdigest()[:12]}"


def fetch(version: str) -> Path:
    """Return the directory of docker `version`, fetched now if need be. Raises SuiteUnavailableError."""
    suite = SUITES[version]
    return obtain(suite, suite, (*CLIENT_PACKAGES, *ENGINE_PACKAGES, TINI[suite]), finish=link_engine)


def fetch_store(name: str) -> Path:
    """Return the directory of the store `name`, fetched now if need be. Raises SuiteUnavailableError."""
    suite, packages = STORES[name]
    return obtain(f"{name}-{suite}", suite, packages)


def fetch_compose_1() -> Path:
    """Return the directory of docker-compose 1.29, fetched now if need be. Raises SuiteUnavailableError."""
    return obtain(f"compose-1.29-{COMPOSE_1_SUITE}", COMPOSE_1_SUITE, COMPOSE_1)


def fetch_go() -> Path:
    """Return the directory of the program in Go, built now if need be. Raises SuiteUnavailableError."""
    return obtain(go_directory(), GO_SUITE, GO, finish=build_go)


def obtain(name: str, suite: str, packages: Sequence[str], *, finish: Callable[[Path], None] | None = None) -> Path:
    """Return the directory `name` of the cache, which holds `packages` of `suite`, fetched now if need be.

    `finish` is called once all is unpacked. Raises SuiteUnavailableError.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / f"{name}.lock"):
        path = CACHE / name
        if (path / "complete").exists():
            return path
        shutil.rmtree(path, ignore_errors=True)
        try:
            unpack(suite, path, packages)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or error.stdout or "").strip().splitlines()[-3:]
            raise SuiteUnavailableError(
                f"cannot fetch {' '.join(packages)} from Debian {suite}: {' / '.join(reason)}"
            ) from error
        if finish:
            finish(path)
        (path / "complete").touch()
        return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out of the block."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpack(suite: str, path: Path, packages: Sequence[str]) -> None:
    """Download `packages` of `suite` and unpack them into `path`, with an apt state of their own."""
    apt = path / "apt"
    for directory in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / directory).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    (apt / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{apt}/sources.list"; Dir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{apt}/lists"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}/cache";\n'
        'APT::Sandbox::User "root"; Acquire::Check-Valid-Until "false"; Acquire::Languages "none";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C"}
    # Without this a mirror out of reach is only a warning.
    run(["apt-get", *PATIENCE, "-q", "-o", "APT::Update::Error-Mode=any", "update"], apt, environment)
    run(["apt-get", *PATIENCE, "-q", "download", *packages], apt / "packages", environment)
    for package in sorted((apt / "packages").glob("*.deb")):
        run(["dpkg", "-x", str(package), str(path)], apt, environment)
    shutil.rmtree(apt)


def mirror() -> str:
    """Return the address of the mirror that apt takes this release from. Raises SuiteUnavailableError."""
    release = subprocess.run(
        ["sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in targets.splitlines():
        site, _, name = line.rpartition(" ")
        if name == release:
            return site
    raise SuiteUnavailableError(f"apt knows no mirror of {release or 'this release'}: is this Debian?")


def run(command: Sequence[str], directory: Path, environment: dict[str, str]) -> None:
    """Run `command`. Raises CalledProcessError, with its output."""
    subprocess.run(command, check=True, cwd=directory, env=environment, capture_output=True, text=True)


def link_engine(path: Path) -> None:
    """Lay out `path`/path: the engine's programs, without runc, which stays the machine's own.

    The suite's runc needs a newer C library than an older machine has.
    """
    (path / "path").mkdir()
    programs = ("usr/sbin/dockerd", "usr/sbin/docker-proxy", "usr/bin/docker-proxy", "usr/bin/containerd")
    for program in (
        *programs,
        "usr/bin/containerd-shim-runc-v2",
        "usr/bin/docker-init",
        "usr/bin/tini-static",
    ):
        if (path / program).exists():
            (path / "path" / Path(program).name).symlink_to(path / program)


def build_go(path: Path) -> None:
    """Leave in `path` the program alone, without all that it took to build it."""
    environment = {
        **os.environ,
        "GOROOT": str(path / "usr/lib/go-1.19"),
        "GOPATH": str(path / "usr/share/gocode"),
        "GOCACHE": str(path / "usr/cache"),
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
    }
    go = str(path / "usr/lib/go-1.19/bin/go")
    run([go, "build", "-o", str(path / "program"), str(GO_SOURCE)], path, environment)
    shutil.rmtree(path / "usr")


def main() -> int:
    """Return 0 when all that is known is in the cache."""
    try:
        for version in SUITES:
            fetch(version)
        for name in STORES:
            fetch_store(name)
        fetch_compose_1()
        fetch_go()
    except (SuiteUnavailableError, OSError) as error:
        print(f"{error}\n(the tests that need it will fail)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
