"""A scripted engine that listens, and an observer that remembers."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.harness import Recorder
from tests.engine.scripted import ScriptedEngine


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine().running() as engine:
        yield engine


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
