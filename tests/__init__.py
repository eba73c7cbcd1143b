"""The tests of swarmproxy; their directories mirror the source."""
