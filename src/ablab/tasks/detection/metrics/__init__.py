"""How good detections are: one matcher, one place for its settings, and every figure from its evidence. No torch."""
