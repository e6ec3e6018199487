"""The slot `dropout`: noise in training, nothing in evaluation.  (B, C, H, W) -> (B, C, H, W)"""
