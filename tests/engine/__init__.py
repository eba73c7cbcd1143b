"""Engines one at a time: scripted ones that misbehave, and real ones."""
