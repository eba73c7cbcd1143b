"""Tests of swarmproxy/monitoring."""
