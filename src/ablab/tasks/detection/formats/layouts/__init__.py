"""Data sets in the layouts that the field uses, each read into a `formats.layout.Layout`."""
