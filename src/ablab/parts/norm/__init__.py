"""The slot `norm`: moves and scales a map to where training goes well.  (B, C, H, W) -> (B, C, H, W)"""
