"""Tests of swarmproxy/model."""
