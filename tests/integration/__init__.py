"""Real clients, real managers, real engines."""
