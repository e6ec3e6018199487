"""The catalogue of parts: what each is, what it costs, and a picture of what it does."""

from ablab.catalogue.card import Argument, Card, card
from ablab.catalogue.cost import Cost, costs
from ablab.catalogue.workload import SIZES, WORK, Size, amount_of

__all__ = ["SIZES", "WORK", "Argument", "Card", "Cost", "Size", "amount_of", "card", "costs"]
