"""The slot `conv`: what may stand where a convolution stands.  (B, in, H, W) -> (B, out, H', W') as nn.Conv2d"""
