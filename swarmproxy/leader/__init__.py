"""One of several managers leads; the others pass what they are asked to it."""
