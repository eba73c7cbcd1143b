"""A long load on one manager, to see that it keeps nothing of what is over: `make soak`."""
