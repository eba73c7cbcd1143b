"""Platforms of images and engines."""

import pytest

from swarmproxy.model.platform import parse_platform, platform_of, runs_on


@pytest.mark.parametrize(
    ("os_type", "architecture", "variant", "platform"),
    [
        ("linux", "x86_64", "", "linux/amd64"),
        ("linux", "aarch64", "", "linux/arm64"),
        ("linux", "arm64", "v8", "linux/arm64/v8"),
        ("linux", "arm", "v7", "linux/arm/v7"),
        ("linux", "armv7l", "", "linux/arm/v7"),
        ("Windows", "x86_64", "", "windows/amd64"),
        ("linux", "riscv64", "", "linux/riscv64"),
        ("", "x86_64", "", ""),
        ("linux", "", "", ""),
    ],
)
def test_platform_of(os_type: str, architecture: str, variant: str, platform: str) -> None:
    """What kernels and images say of themselves is said in one way."""
    assert platform_of(os_type, architecture, variant) == platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("", ""),
        ("linux", ""),
    ],
)
def test_parse(text: str, platform: str) -> None:
    """Clients write platforms in full, or the architecture alone."""
    assert parse_platform(text) == platform


@pytest.mark.parametrize(
    ("image", "engine", "runs"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/amd64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/386", "linux/amd64", True),
        ("linux/arm/v7", "linux/arm64", True),
        ("linux/arm/v6", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("windows/amd64", "linux/amd64", False),
        ("", "linux/amd64", True),
        ("linux/amd64", "", True),
    ],
)
def test_runs_on(image: str, engine: str, runs: bool) -> None:
    """An image runs on its own platform and on what contains that; what is not known is no obstacle."""
    assert runs_on(image, engine) is runs
