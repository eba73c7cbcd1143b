"""Which nodes can take a container, best first. Pure."""
