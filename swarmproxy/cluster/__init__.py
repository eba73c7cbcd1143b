"""The members as one: who owns what, where a new container goes, what happened."""
