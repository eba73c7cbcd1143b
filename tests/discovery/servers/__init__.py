"""Real stores on the loopback, started, killed and frozen by the tests."""
