"""`python -m swarmproxy` is the same as `swarmproxy`."""

from swarmproxy.cli import main

if __name__ == "__main__":
    main()
