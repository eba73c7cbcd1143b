"""From the command line of `manage` to its settings."""

import logging
import socket
from pathlib import Path

import pytest

from swarmproxy.cli.manage import manage
from swarmproxy.cli.options import Globals
from swarmproxy.cli.reading import ManageFlags, read_settings
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.settings import FILTERS, Listen, Settings, Tls
from tests.hosts.certificates import Certificates

TLS = "--tls --tlscert c --tlskey k"
VERIFY = "--tlsverify --tlscert c --tlskey k --tlscacert a"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of whoever runs the tests out of them."""
    for name in ("SWARM_DISCOVERY", "SWARM_ADVERTISE", "SWARM_HOST", "DEBUG"):
        monkeypatch.delenv(name, raising=False)


def _read(line: str, default_socket: Path = Path("/nonexistent")) -> Settings:
    with manage.make_context("manage", line.split()) as context:
        flags = ManageFlags(**context.params)
    return read_settings(flags, Globals(), program="swarm", default_socket=default_socket)


def test_defaults() -> None:
    """Without flags the settings are classic's defaults, which are also those of the dataclass."""
    assert _read("a:1") == Settings(discovery="a:1")


def test_all_flags() -> None:
    """Each flag reaches its setting."""
    settings = _read(
        "--strategy binpacking -f port -f health --cors --heartbeat 5s --drain-timeout 1m "
        "--engine-refresh-min-interval 1s --engine-refresh-max-interval 2s --engine-failure-retry 7 "
        "--cluster-opt swarm.overcommit=0.5 --cluster-opt swarm.createretry=2 --cluster-opt swarm.names=both "
        "--cluster-opt swarm.network=bridge --cluster-opt swarm.imageplatform=off "
        "--cluster-opt swarm.imageties=off --cluster-opt swarm.imagemove=off "
        "--cluster-opt swarm.reschedule-after=1m30s --cluster-opt swarm.mode=auto --cluster-opt swarm.managers=5 "
        "--discovery-opt kv.path=x=y --discovery-opt a= --refresh-on-node-filter "
        "--container-name-refresh-filter n --socket-group root -H unix:///s -H :1 "
        "--page-addr 127.0.0.1:8080 --page-tls=false a:1"
    )
    assert settings == Settings(
        discovery="a:1",
        image_platform=False,
        image_ties=False,
        image_move=False,
        discovery_options={"kv.path": "x=y", "a": ""},
        hosts=(Listen(path="/s"), Listen(port=1)),
        socket_group="root",
        heartbeat_s=5,
        drain_timeout_s=60,
        page_addr=Listen("127.0.0.1", 8080),
        engine=EngineSettings(refresh_min_s=1, refresh_max_s=2, failure_retry=7),
        strategy="binpack",
        filters=("port", "health"),
        overcommit=0.5,
        create_retry=2,
        names="both",
        default_network="bridge",
        reschedule_after_s=90,
        swarm_mode="auto",
        swarm_managers=5,
        cors=True,
        refresh_on_node_filter=True,
        container_name_refresh_filter="n",
    )
    assert _read("a:1").filters == FILTERS


@pytest.mark.parametrize(
    ("line", "error"),
    [
        # 1. TLS
        (TLS.replace("--tlskey k", ""), "--tlscert and --tlskey must be provided when using --tls"),
        ("--tlsverify", "--tlscert and --tlskey must be provided when using --tls"),
        (f"{TLS} --tlsverify", "--tlscacert must be provided when using --tlsverify"),
        (
            "--tlscert c",
            "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify",
        ),
        (
            "--engine-tlscert c",
            "--engine-tlscert, --engine-tlskey and --engine-tlscacert require the use of either "
            "--engine-tls or --engine-tlsverify",
        ),
        ("--engine-tls --engine-tlscert c", "--engine-tlscert and --engine-tlskey must be provided together"),
        ("--engine-tlsverify", "--engine-tlscacert must be provided when using --engine-tlsverify"),
        # 2. Intervals
        ("--engine-refresh-min-interval 0", "min refresh interval should be a positive number"),
        ("--engine-refresh-min-interval x", "min refresh interval should be a positive number"),
        (
            "--engine-refresh-max-interval 29s",
            "max refresh interval cannot be less than min refresh interval",
        ),
        ("--engine-refresh-max-interval x", "max refresh interval cannot be less than min refresh interval"),
        # 3. Retries
        ("--engine-refresh-retry 4", "--engine-refresh-retry is deprecated. Use --engine-failure-retry"),
        ("--engine-failure-retry 0", "invalid failure retry count"),
        # 4. Discovery
        ("", "discovery required to manage a cluster. See 'swarm manage --help'."),
        ("a:1 b:1", "discovery required to manage a cluster. See 'swarm manage --help'."),
        ("--heartbeat x a:1", 'invalid --heartbeat: time: invalid duration "x"'),
        ("--heartbeat 999ms a:1", "--heartbeat should be at least one second"),
        ("--discovery-opt x a:1", "--discovery-opt must contain key=value strings"),
        ("x://a", "discovery service not supported"),
        # 5. Scheduling and the cluster
        ("--strategy best a:1", "strategy not supported"),
        ("--filter best a:1", "filter not supported"),
        ("-c mesos a:1", 'unsupported cluster "mesos"'),
        (
            "--cluster-opt swarm.overcommit=-2 a:1",
            "swarm.overcommit should be larger than -1, -2.000000 is invalid",
        ),
        ("--cluster-opt swarm.overcommit=x a:1", 'swarm.overcommit should be a number, "x" is invalid'),
        ("--cluster-opt swarm.overcommit=nan a:1", 'swarm.overcommit should be a number, "nan" is invalid'),
        (
            "--cluster-opt swarm.overcommit a:1",
            "swarm.overcommit needs a value: --cluster-opt swarm.overcommit=...",
        ),
        ("--cluster-opt swarm.createretry=-1 a:1", "swarm.createretry can not be negative, -1 is invalid"),
        (
            "--cluster-opt swarm.createretry=x a:1",
            'swarm.createretry should be a whole number, "x" is invalid',
        ),
        (
            "--cluster-opt swarm.names=x a:1",
            'swarm.names should be one of auto, node, both, plain, "x" is invalid',
        ),
        (
            "--cluster-opt swarm.network=x a:1",
            'swarm.network should be one of auto, bridge, overlay, "x" is invalid',
        ),
        ("--cluster-opt swarm.mode=on a:1", 'swarm.mode should be one of use, auto, off, "on" is invalid'),
        (
            "--cluster-opt swarm.mode=auto --cluster-opt swarm.managers=4 a:1",
            'swarm.managers should be 1, 3, 5 or 7, "4" is invalid',
        ),
        (
            "--cluster-opt swarm.managers=3 a:1",
            "swarm.managers is for a swarm that is formed here: it needs swarm.mode=auto",
        ),
        ("--cluster-opt swarm.imagemove=no a:1", 'swarm.imagemove should be on or off, "no" is invalid'),
        ("--cluster-opt swarm.reschedule-after=-1s a:1", "swarm.reschedule-after can not be negative"),
        (
            "--cluster-opt swarm.reschedule-after=soon a:1",
            'invalid swarm.reschedule-after: time: invalid duration "soon"',
        ),
        # 6. Replication
        (
            "--replication a:1",
            "--advertise address must be provided when using --leader-election",
        ),
        (
            "--replication --advertise m2 a:1",
            "--advertise should be of the form ip:port or hostname:port",
        ),
        (
            "--replication --advertise m:2 --replication-ttl x a:1",
            'invalid --replication-ttl: time: invalid duration "x"',
        ),
        (
            "--replication --advertise m:2 --replication-ttl -1s a:1",
            "--replication-ttl should be a positive number",
        ),
        (
            "--replication --advertise m:2 a:1",
            "Leader election is only supported with consul, etcd and zookeeper discovery.",
        ),
        # 7. Ours
        ("-H ftp://x a:1", 'unsupported protocol: "ftp"'),
        ("-H fd:// a:1", 'unsupported protocol: "fd"'),
        ("--socket-group no/such a:1", '--socket-group: there is no group "no/such"'),
        ("--metrics-tls --metrics-addr :9 a:1", "--metrics-tls needs --metrics-addr, and --tls or --tlsverify"),
        ("--metrics-addr x a:1", 'cannot listen on "x": the address should be host:port or unix://path'),
        ("--drain-timeout -1s a:1", "--drain-timeout should not be a negative number"),
        ("--page-addr 8080 a:1", 'cannot listen on "8080": the address should be host:port or unix://path'),
        ("--page-tls a:1", "--page-tls needs --page-addr, and --tls or --tlsverify"),
        ("--page-tls --page-addr :1 a:1", "--page-tls needs --page-addr, and --tls or --tlsverify"),
    ],
)
def test_errors(line: str, error: str) -> None:
    """Each bad value is refused with classic's words, or with words like them."""
    with pytest.raises(SwarmError) as caught:
        _read(line)
    assert str(caught.value) == error


def test_order_of_checks() -> None:
    """Of several bad values, the complaint is about the one that classic checks first."""
    bad = [
        ("--tls", "--tlscert and"),
        ("--engine-refresh-min-interval 0", "min refresh"),
        ("--engine-failure-retry 0", "invalid failure"),
        ("--heartbeat 0", "--heartbeat should"),
        ("--discovery-opt x", "--discovery-opt must"),
        ("--strategy x", "strategy not"),
        ("--filter x", "filter not"),
        ("-c x", "unsupported cluster"),
        ("--cluster-opt swarm.overcommit=-3", "swarm.overcommit"),
        ("--cluster-opt swarm.createretry=-3", "swarm.createretry"),
        ("--replication", "--advertise address"),
        ("-H x://", "unsupported protocol"),
    ]
    for index, (_, error) in enumerate(bad):
        flags = " ".join(flag for flag, _ in reversed(bad[index:]))
        with pytest.raises(SwarmError, match=f"^{error}"):
            _read(f"{flags} a:1")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", None),
        (TLS, Tls(cert=Path("c"), key=Path("k"))),
        (VERIFY, Tls(cert=Path("c"), key=Path("k"), ca=Path("a"), verify=True)),
        (f"{TLS} --tlscacert a", Tls(cert=Path("c"), key=Path("k"), ca=Path("a"))),
        (f"{VERIFY} --engine-tls=false", None),
        (f"{VERIFY} --engine-tlsverify=false", Tls(cert=Path("c"), key=Path("k"), ca=Path("a"))),
        ("--engine-tls", Tls()),
        ("--engine-tlsverify --engine-tlscacert b", Tls(ca=Path("b"), verify=True)),
        (
            f"{VERIFY} --engine-tlscert d --engine-tlskey l",
            Tls(cert=Path("d"), key=Path("l"), ca=Path("a"), verify=True),
        ),
        (f"{VERIFY} --engine-tlscacert b", Tls(cert=Path("c"), key=Path("k"), ca=Path("b"), verify=True)),
    ],
)
def test_engine_tls(line: str, expected: Tls | None) -> None:
    """Engines get the TLS of the listener, unless an --engine-tls* flag says otherwise."""
    assert _read(f"{line} a:1").engine_tls == expected


def test_listener_tls() -> None:
    """The listener gets its own flags only."""
    assert _read("--engine-tls a:1").tls is None
    assert _read(f"{VERIFY} --engine-tls=false a:1").tls == Tls(
        cert=Path("c"), key=Path("k"), ca=Path("a"), verify=True
    )


@pytest.mark.parametrize(
    ("text", "listen", "shown"),
    [
        ("tcp://0.0.0.0:2376", Listen("0.0.0.0", 2376), "tcp://0.0.0.0:2376"),
        ("localhost:1", Listen("localhost", 1), "tcp://localhost:1"),
        (":2375", Listen("", 2375), "tcp://:2375"),
        ("tcp://:0", Listen("", 0), "tcp://:0"),
        ("[::1]:2375", Listen("::1", 2375), "tcp://[::1]:2375"),
        ("unix:///run/swarm.sock", Listen(path="/run/swarm.sock"), "unix:///run/swarm.sock"),
        ("unix://relative.sock", Listen(path="relative.sock"), "unix://relative.sock"),
    ],
)
def test_listen(text: str, listen: Listen, shown: str) -> None:
    """All of classic's forms of an address are understood, and printed in one."""
    assert Listen.parse(text) == listen
    assert str(listen) == shown
    assert Listen.parse(shown) == listen


@pytest.mark.parametrize("text", ["", "x", "2375", "h:", "h:99999", "::1:2375", "tcp://", "unix://", "h:1/x", "h :1"])
def test_bad_listen(text: str) -> None:
    """What is no address to listen on is refused."""
    with pytest.raises(ConfigError, match=r"^cannot listen on "):
        Listen.parse(text)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment stands in for flags; hosts in it are separated by commas, empty ones do not count."""
    monkeypatch.setenv("SWARM_HOST", ":1, unix:///s,")
    monkeypatch.setenv("SWARM_DISCOVERY", "e:1")
    assert _read("").hosts == (Listen(port=1), Listen(path="/s"))
    assert _read("").discovery == "e:1"
    monkeypatch.setenv("SWARM_HOST", "")
    assert _read("").hosts == Settings(discovery="").hosts


def test_flags_replace_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag replaces all of what the environment says: with -H, none of $SWARM_HOST is listened on."""
    monkeypatch.setenv("SWARM_HOST", ":1,:2")
    monkeypatch.setenv("SWARM_DISCOVERY", "e:1")
    monkeypatch.setenv("SWARM_ADVERTISE", "m:1")
    settings = _read("-H :3 a:1")
    assert (settings.hosts, settings.discovery) == ((Listen(port=3),), "a:1")
    with pytest.raises(ConfigError, match=r"^--advertise address must be provided"):
        _read("--replication --advertise= a:1")


def test_several_arguments(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """With more than one argument $SWARM_DISCOVERY is used, as classic does, but not silently."""
    monkeypatch.setenv("SWARM_DISCOVERY", "e:1")
    assert _read("a:1 b:1").discovery == "e:1"
    assert "more than one discovery argument" in caplog.text


def test_embedded_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With no discovery at all and an engine on this machine, that engine is served, and the log says so."""
    caplog.set_level(logging.INFO)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert _read("", path).discovery == f"nodes://unix://{path}"
        assert "the engine of this machine is served" in caplog.text
        with pytest.raises(ConfigError, match=r"^discovery required"):
            _read("a:1 b:1", path)
    path.unlink()
    path.touch()
    with pytest.raises(ConfigError, match=r"^discovery required"):
        _read("", path)


def test_cluster_options(caplog: pytest.LogCaptureFixture) -> None:
    """Of one key the first value counts; unknown keys are warned of, and so is a negative overcommit."""
    settings = _read(
        "--cluster-opt swarm.createretry=0x10 --cluster-opt swarm.createretry=3 --cluster-opt mesos.port=1 "
        "--cluster-opt odd --cluster-opt swarm.overcommit=-0.5 a:1"
    )
    assert (settings.create_retry, settings.overcommit) == (16, -0.5)
    assert [record.message for record in caplog.records] == [
        "unknown cluster option ignored",
        "unknown cluster option ignored",
        "-1 < swarm.overcommit < 0 will make swarm take less resource than docker engine offers",
    ]


def test_state_file(tmp_path: Path) -> None:
    """A state file is of one manager, whatever lists its nodes, and its directory has to be there."""
    assert _read("a:1").state_file is None
    for url in ("a:1", "etcd://h"):
        assert _read(f"--state-file {tmp_path}/state.json {url}").state_file == tmp_path / "state.json"
    with pytest.raises(ConfigError, match=r"^--state-file: there is no directory /no/such$"):
        _read("--state-file /no/such/state.json a:1")
    with pytest.raises(ConfigError, match=r"^--state-file is of one manager: with --replication, the store keeps"):
        _read(f"--state-file {tmp_path}/s --replication --advertise m:2 etcd://h")


def test_managers_of_a_swarm_are_engines(certificates: Certificates) -> None:
    """swarm:// asks managers with the files for engines, unless it is given others."""
    ours, others = certificates.client, certificates.stranger
    engine = f"--engine-tlsverify --engine-tlscacert {ours.ca} --engine-tlscert {ours.cert} --engine-tlskey {ours.key}"
    files = {"swarm.cacertfile": str(ours.ca), "swarm.certfile": str(ours.cert), "swarm.keyfile": str(ours.key)}
    assert _read(f"{engine} swarm://a:2377").discovery_options == files
    assert _read(f"{engine} a:2376").discovery_options == {}
    given = f"--discovery-opt swarm.cacertfile={others.ca}"
    assert _read(f"{engine} {given} swarm://a:2377").discovery_options == {"swarm.cacertfile": str(others.ca)}
    with pytest.raises(ConfigError, match=r"swarm\.mode=auto forms a swarm"):
        _read("--cluster-opt swarm.mode=auto swarm://a:2377")


def test_policy(tmp_path: Path) -> None:
    """A policy is read before anything begins, and what is wrong in it is said with file and line."""
    assert _read("a:1").policy is None
    path = tmp_path / "policy.toml"
    path.write_text("version = 1")
    assert _read(f"--policy {path} a:1").policy == path
    path.write_text("version = 1\nfoo = 2")
    with pytest.raises(ConfigError, match=rf"{path}: line 2: foo: this is not known here"):
        _read(f"--policy {path} a:1")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        _read(f"--policy {tmp_path}/none a:1")


def test_policy_learn(tmp_path: Path) -> None:
    """A policy is learnt into a file, in a directory that is there, and not beside one that is obeyed."""
    assert _read(f"--policy-learn {tmp_path}/learnt.toml a:1").policy_learn == tmp_path / "learnt.toml"
    with pytest.raises(ConfigError, match="--policy-learn: there is no directory"):
        _read(f"--policy-learn {tmp_path}/none/learnt.toml a:1")
    (tmp_path / "policy.toml").write_text("version = 1")
    with pytest.raises(ConfigError, match="cannot be used with --policy"):
        _read(f"--policy-learn {tmp_path}/learnt.toml --policy {tmp_path}/policy.toml a:1")
