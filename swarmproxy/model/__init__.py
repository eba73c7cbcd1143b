"""Values that the rest passes around. Pure."""
