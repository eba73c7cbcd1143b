"""Tests of swarmproxy/api."""
