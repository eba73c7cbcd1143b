"""Where the addresses of engines come from."""
