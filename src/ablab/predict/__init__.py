"""Use a trained model: on pictures, videos, cameras and streams.

    sources --frames--> a reading thread --windows, fitted--> Model --results--> outputs, pictures

A `Model` is a `Runner`, which knows one runtime, and a task's `contracts.Finder`, which knows what stands around a
network: `network.py` makes one from a run, `shipped.py` from a bundle.
"""
