"""What is wrong with a detector, read from what a run left on disk: records of plain numbers, and pictures."""
