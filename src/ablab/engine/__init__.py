"""The loop and what it needs. It knows tasks only through `ablab.contracts`."""
