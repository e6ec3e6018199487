"""Parameters, FLOPs, latency, memory, and the one place that seeds torch."""
