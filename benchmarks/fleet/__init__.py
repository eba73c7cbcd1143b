"""Simulated engines: enough of dockerd for a manager, for next to nothing each."""
