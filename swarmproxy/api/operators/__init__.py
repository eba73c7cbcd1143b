"""What operators ask of a manager beside Docker's API, under /swarmproxy/v1. Start at `app.py`."""
