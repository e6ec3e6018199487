"""The slot `sampler`: `build(**args)(counts)` -> a `contracts.Sampling`; counts (images, classes) are objects."""
