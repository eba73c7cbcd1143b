"""The structure that CONVENTIONS.md promises; each rule is also shown to catch what it forbids."""

import ast
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("swarmproxy", "discovery")
MAX_LINES = 400

# From the top: a module imports from lines below its own, and from its own package.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("manage", "join", "hub"),
    ("serving",),
    ("manager",),
    ("server", "certificates", "reloading", "scheduling"),
    ("monitoring", "page"),
    ("api",),
    ("leader",),
    ("cluster", "registration"),
    ("settings", "policy_file"),
    ("engine",),
    ("scheduler", "policy"),
    ("wire",),
    ("model",),
    ("logs", "durations", "notify", "process"),
    ("errors",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LOWEST_THAT_DISCOVERS = RANK["cluster"]
ONLY = {
    "wire": {"errors"},
    "scheduler": {"model", "errors"},
    "policy": {"model", "errors"},
    "model": {"errors"},
}  # stricter than its rank
PURE = ("model", "scheduler", "policy")
IMPURE_MODULES = frozenset(
    {
        "asyncio",
        "concurrent",
        "http",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "urllib",
        "uuid",
        "anyio",
        "fastapi",
        "httpx",
        "httptools",
        "uvicorn",
        "uvloop",
    }
)
IMPURE_URLLIB = frozenset({"urllib.parse"})  # which is pure
CLOCKS = frozenset({"now", "utcnow", "today"})
VAGUE_NAMES = frozenset({"utils.py", "util.py", "helpers.py", "misc.py", "common.py"})


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the path of every module of ours under `root`."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of `path`."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.Module, known: Mapping[str, Path]) -> set[str]:
    """Return the dotted names that a module imports anywhere, functions and type checking included.

    `from package import name` counts as the module `package.name` if there is one.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else node.module for name in names}
    return found


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return for each module of ours what it imports of ours and of others."""
    known = dict(sources(root))
    return {name: imports(parse(path), known) for name, path in known.items()}


def layer_of(module: str) -> str:
    """Return the second part of a dotted name ("wire" of "swarmproxy.wire.pool"); "" if there is none."""
    return [*module.split("."), ""][1]


def steps_backwards(root: Path) -> list[str]:
    """Return the imports that do not point downwards."""
    wrong = []
    for module, imported in import_graph(root).items():
        if not module.startswith("swarmproxy."):
            continue
        source = layer_of(module)
        if source not in RANK:
            wrong.append(f"{module} has no place in LAYERS")
            continue
        for other in sorted(imported):
            target = layer_of(other)
            if other.split(".")[0] == "discovery" and RANK[source] > LOWEST_THAT_DISCOVERS:
                wrong.append(f"{module} imports {other}")
            if not other.startswith("swarmproxy.") or target == source:
                continue
            allowed = target in ONLY[source] if source in ONLY else RANK.get(target, -1) > RANK[source]
            if not allowed:
                wrong.append(f"{module} imports {other}")
    return wrong


def cycles(root: Path) -> list[str]:
    """Return the first cycle among our modules."""
    graph = import_graph(root)
    ours = {module: {name for name in imported if name in graph} for module, imported in graph.items()}
    try:
        TopologicalSorter(ours).prepare()
    except CycleError as error:
        return [" > ".join(reversed(error.args[1]))]
    return []


def dependent_discovery(root: Path) -> list[str]:
    """Return the modules of discovery that import ours."""
    return [
        f"{module} imports {other}"
        for module, imported in import_graph(root).items()
        for other in sorted(imported)
        if module.split(".")[0] == "discovery" and other.split(".")[0] == "swarmproxy"
    ]


def impurities(root: Path) -> list[str]:
    """Return what in the pure packages waits, looks at a clock, throws dice, logs, or could."""
    wrong = []
    for module, path in sources(root):
        if module.split(".")[0] != "swarmproxy" or layer_of(module) not in PURE:
            continue
        tree = parse(path)
        wrong += [
            f"{module} imports {name}"
            for name in sorted(imports(tree, {}))
            if name.split(".")[0] in IMPURE_MODULES and name not in IMPURE_URLLIB
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
                wrong.append(f"{module}:{node.lineno} is asynchronous")
            if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
                wrong.append(f"{module}:{node.lineno} looks at the clock")
    return wrong


def long_files(root: Path) -> list[str]:
    """Return the files, tests and benchmarks included, that are over 400 lines."""
    paths = (path for place in (*PACKAGES, "tests", "benchmarks") for path in sorted((root / place).rglob("*.py")))
    counts = {path.relative_to(root): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{path} has {lines} lines" for path, lines in counts.items() if lines > MAX_LINES]


def vague_names(root: Path) -> list[str]:
    """Return the files whose name says nothing."""
    return [str(path.relative_to(root)) for _, path in sources(root) if path.name in VAGUE_NAMES]


def relative_imports(root: Path) -> list[str]:
    """Return the imports that begin with a dot."""
    return [
        f"{module}:{node.lineno}"
        for module, path in sources(root)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def test_imports_point_one_way() -> None:
    """No module imports from above its own layer; wire, scheduler and model keep to what they may know."""
    assert steps_backwards(REPOSITORY) == []


def test_no_cycles() -> None:
    """No module imports itself through others."""
    assert cycles(REPOSITORY) == []


def test_discovery_stands_alone() -> None:
    """Discovery imports nothing of swarmproxy."""
    assert dependent_discovery(REPOSITORY) == []


def test_pure_packages() -> None:
    """Model and scheduler hold no async, socket, clock, dice or log call."""
    assert impurities(REPOSITORY) == []


def test_file_length() -> None:
    """No file is over 400 lines."""
    assert long_files(REPOSITORY) == []


def test_no_vague_names() -> None:
    """No module is called utils, or the like."""
    assert vague_names(REPOSITORY) == []


def test_no_relative_imports() -> None:
    """Every import says in full where it goes."""
    assert relative_imports(REPOSITORY) == []


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (steps_backwards, {"swarmproxy/engine/a.py": "from swarmproxy.cluster.b import x"}),
        (steps_backwards, {"swarmproxy/api/a.py": "def f():\n    import swarmproxy.manage"}),
        (steps_backwards, {"swarmproxy/wire/a.py": "from swarmproxy.model.b import x"}),
        (steps_backwards, {"swarmproxy/scheduler/a.py": "from swarmproxy.wire.b import x"}),
        (steps_backwards, {"swarmproxy/engine/a.py": "from discovery import open_backend"}),
        (steps_backwards, {"swarmproxy/stray.py": ""}),
        (cycles, {"discovery/a.py": "import discovery.b", "discovery/b.py": "from discovery import a"}),
        (dependent_discovery, {"discovery/a.py": "from swarmproxy.errors import SwarmError"}),
        (impurities, {"swarmproxy/model/a.py": "import time"}),
        (impurities, {"swarmproxy/model/a.py": "from datetime import datetime\nNOW = datetime.now()"}),
        (impurities, {"swarmproxy/model/a.py": "from urllib.request import urlopen"}),
        (impurities, {"swarmproxy/scheduler/a.py": "async def f(): ..."}),
        (impurities, {"swarmproxy/scheduler/a/b.py": "from random import choice"}),
        (long_files, {"tests/a.py": "\n" * 401}),
        (long_files, {"discovery/a.py": "\n" * 401}),
        (vague_names, {"swarmproxy/api/utils.py": ""}),
        (relative_imports, {"swarmproxy/api/a.py": "from .b import c"}),
    ],
)  # fmt: skip
def test_rule_catches(rule: Callable[[Path], list[str]], files: dict[str, str], tmp_path: Path) -> None:
    """A violation is found, once."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert len(rule(tmp_path)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"swarmproxy/api/a.py": "from swarmproxy.cluster.b import x\nfrom swarmproxy import __version__"},
        {"swarmproxy/cluster/a.py": "from swarmproxy.cluster.b import x\nimport discovery"},
        {"swarmproxy/model/a.py": "from urllib.parse import quote\nimport datetime"},
        {"swarmproxy/wire/a.py": "import asyncio\n" + "\n" * 399},
    ],
)
def test_rules_allow(files: dict[str, str], tmp_path: Path) -> None:
    """What is allowed is not complained about."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rules = (
        steps_backwards,
        cycles,
        dependent_discovery,
        impurities,
        long_files,
        vague_names,
        relative_imports,
    )
    assert [rule(tmp_path) for rule in rules] == [[]] * len(rules)
