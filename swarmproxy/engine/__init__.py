"""One member daemon: is it alive, what does it hold, what does it say."""
