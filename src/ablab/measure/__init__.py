"""Parameters, FLOPs, latency, memory, and the one place that seeds torch."""

from ablab.measure.flops import flops
from ablab.measure.latency import Latency, latency
from ablab.measure.memory import peak_memory_mb
from ablab.measure.parameters import parameters

__all__ = ["Latency", "flops", "latency", "parameters", "peak_memory_mb"]
