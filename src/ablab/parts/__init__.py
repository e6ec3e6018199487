"""Bricks that any task may use, a folder a slot."""
