"""Print the comparison: `python -m tests.compat`."""

from tests.compat.row import as_text
from tests.compat.table import TABLES

if __name__ == "__main__":
    print(as_text(TABLES))
