"""The slot `backbone`: `build(in_channels=3, **args)` -> a module with `channels` and `strides`, one map a level."""
