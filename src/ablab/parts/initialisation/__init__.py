"""The slot `initialisation`: draws a weight anew, in place.  (out, in, ...) -> None"""
