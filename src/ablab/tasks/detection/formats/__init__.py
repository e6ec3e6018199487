"""Data sets and results on disk, one file a format. No torch."""
