"""Tests of swarmproxy/cluster."""
