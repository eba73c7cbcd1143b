"""What README.md and docs/ say is so: links, flags, and the differences from classic Swarm."""
