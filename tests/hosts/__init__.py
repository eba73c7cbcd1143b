"""Real docker engines as separate hosts, in sandboxes that leave nothing behind."""
