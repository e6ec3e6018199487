"""Mirrors of a study's records in other people's tools. They read what is on disk; nothing is read back from them."""
