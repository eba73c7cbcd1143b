"""Tests of one of several managers that leads."""
