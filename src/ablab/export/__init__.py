"""Shipping: the winner as a bundle that runs without its laboratory, with proof that it is the same model.

ship(model, card, folder, formats)        write a bundle, each format held against the network
read_bundle(folder) -> Bundle             check it, file by file
Bundle.open(runtime) -> Runner            uint8 (B, H, W, 3) -> boxes (B, N, 4), scores (B, N, C)
choose(bundle) -> Chosen                  the fastest runtime here
"""

from ablab.export.bundle import Bundle, Card, is_bundle, read_bundle
from ablab.export.choose import Chosen, choose
from ablab.export.deployed import Outputs, Runner
from ablab.export.ship import FORMATS, Model, ship

__all__ = [
    "FORMATS",
    "Bundle",
    "Card",
    "Chosen",
    "Model",
    "Outputs",
    "Runner",
    "choose",
    "is_bundle",
    "read_bundle",
    "ship",
]
