"""Many Docker daemons behind one Docker API endpoint."""

__version__ = "0.1.0.dev0"
