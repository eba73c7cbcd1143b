"""What a client of classic Docker Swarm 1.2 saw, and what it sees here: a row each. Start at `row.py`."""
