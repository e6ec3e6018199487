"""Tasks: one room each. The engine and the study know them only through `ablab.contracts`."""
