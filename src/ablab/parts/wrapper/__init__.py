"""The slot `wrapper`: a part around a module, which it is given as `inner`."""
