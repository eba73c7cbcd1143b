"""Have pytest explain the assertions in rows, which are in no test module."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite(*(f"tests.compat.{path.stem}" for path in Path(__file__).parent.glob("rows_*.py")))
