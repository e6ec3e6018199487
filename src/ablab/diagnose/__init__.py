"""What is wrong with a run, and what to try next: readings of its errors, data, network and training.

    evidence, curves, record, weights, data --reading--> a frozen record of numbers --> findings --> proposals

A reading is a function from what a run left on disk to a frozen dataclass of plain numbers; it ends in `Finding`s. It
prints nothing and changes nothing. What only detection has (boxes, classes, anchors) is read in its task's room.
"""
