"""Where and in which arithmetic a training runs: device, dtype, memory format, threads, determinism."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ablab.contracts import Batch
from ablab.errors import ConfigError
from ablab.recipe import TrainRecipe


@dataclass(frozen=True)
class Precision:
    """What `choose` decided."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    threads: int

    @property
    def cuda(self) -> bool:
        """Whether it runs on a card, where copies and losses need not be waited for."""
        return self.device.type == "cuda"

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products and convolutions inside run in bf16, where bf16 was chosen."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype is torch.bfloat16)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, its (O, I, H, W) tensors to channels_last. The model itself is returned."""
        model.to(self.device)
        if self.channels_last:
            # nn.Module.to(memory_format=...) would refuse a network that holds a tensor of five dimensions.
            for tensor in chain(model.parameters(), model.buffers()):
                if tensor.dim() == 4:
                    tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        return model

    def to_device(self, batch: Batch) -> Batch:
        """Move a batch's tensors, those of shape (B, C, H, W) to channels_last. The rest is kept as it is."""
        return {name: self._move(value) if isinstance(value, Tensor) else value for name, value in batch.items()}

    def _move(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self.device, non_blocking=self.cuda)
        if self.channels_last and tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Threads and deterministic kernels as chosen; before and after, torch stands as it stood.

        On a card a few operations have no deterministic kernel (bilinear upsampling's backward pass, for one): there
        torch warns and goes on, so two runs may differ in the last bits. On a CPU it raises instead.
        """
        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        memory: Any = torch.utils.deterministic
        fill = memory.fill_uninitialized_memory
        if self.cuda:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, to be deterministic
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=self.cuda)
        memory.fill_uninitialized_memory = False  # it would write NaN into every torch.empty
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = fill

    def describe(self) -> dict[str, str]:
        """For a record's `environment`: final weights are equal to the bit only where all of this is equal."""
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name(self.device) if self.cuda else f"cpu, {_cpu_name()}",
            "capability": torch.backends.cpu.get_cpu_capability(),
            "precision": "bf16" if self.dtype is torch.bfloat16 else "fp32",
            "memory_format": "channels_last" if self.channels_last else "contiguous",
            "threads": str(self.threads),
        }


def choose(train: TrainRecipe) -> Precision:
    """Decide from the recipe and the machine; `auto` is a card before the CPU, and bf16 where the hardware has it.

    Raises ConfigError where the recipe wants a card, or bf16 on a card, that is not there.
    """
    if train.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is 'cuda', but torch finds no CUDA card; set it to 'auto' or 'cpu'")
    cuda = train.device != "cpu" and torch.cuda.is_available()
    native = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else cpu_has_bf16()
    if train.precision == "bf16" and cuda and not native:
        name = torch.cuda.get_device_name()
        raise ConfigError(f"train.precision is 'bf16', which {name} does not have; set it to 'auto' or 'fp32'")
    bf16 = train.precision == "bf16" or (train.precision == "auto" and native)
    return Precision(
        device=torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu"),
        dtype=torch.bfloat16 if bf16 else torch.float32,
        channels_last=train.channels_last,
        threads=train.threads,
    )


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 itself (AVX512-BF16 or AMX); emulated bf16 is slower than fp32."""
    get = getattr(torch.cpu, "get_capabilities", None)  # torch before 2.9 lacks it
    if get is not None:
        found = get()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo("flags").split()))


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    if not sys.platform.startswith("linux"):
        return ""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
