"""The hub of `token://`: lists of engines over HTTP. Start at `serve.py`; `app.py` is what it answers."""
