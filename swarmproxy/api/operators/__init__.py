"""Our own HTTP API, beside Docker's."""
