"""The slot `optimizer`: from parameter groups to torch optimizers."""
