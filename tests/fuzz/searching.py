"""The process in which libFuzzer searches; called by `python -m tests.fuzz`."""

import sys

import atheris


def main() -> None:
    """Search in the target that the first argument names; the others are libFuzzer's."""
    with atheris.instrument_imports(include=["swarmproxy", "discovery"]):
        from tests.fuzz.targets import TARGETS

    name = sys.argv[1]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
