"""A trained model behind HTTP: a page to drop an image on, and an endpoint for programs.

    POST /predict --body--> bytes --picture--> pixels, fitted --batches--> Model's runner --> boxes, scores, classes

Everything that comes in is bounded: bytes while they are read, pixels before they are decoded, images that wait, and
seconds. One thread owns the network; images that come together go through it together.
"""
