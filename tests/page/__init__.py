"""Tests of swarmproxy/page/."""
