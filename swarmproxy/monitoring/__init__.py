"""What is told of a manager to those that watch it: metrics, readiness, an audit log, traces."""
