"""The benchmark of large clusters: one manager in front of up to ten thousand simulated engines."""
