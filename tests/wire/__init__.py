"""Tests of the wire: scripted peers on both sides of a real server."""
