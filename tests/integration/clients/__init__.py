"""Whole client programs and libraries, used as their users use them, through the proxy over real engines."""
