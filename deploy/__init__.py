"""What it takes to ship swarmproxy, and to run it as a service or a group."""
