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
from torch.amp.grad_scaler import GradScaler

from ablab.contracts import Batch
from ablab.errors import ConfigError
from ablab.recipe import TrainRecipe

NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Precision:
    """What `choose` decided.

    Weights, their gradients, the optimizer and the criterion are float32 in all three; bf16 and fp16 are what matrix
    products and convolutions run in (Micikevicius et al. 2018, "Mixed precision training"). One rounding is relative
    2^-24 in fp32, 2^-8 in bf16 (7 bits after the point, the range of fp32) and 2^-11 in fp16 (10 bits, 6e-5 to 65504),
    so fp16 agrees better and bf16 never overflows.

    Bounds that `tests/engine/test_agreement.py` holds against fp32, from the same weights on the same batch:

                                                                 bf16     fp16
        gradient of a shallow network, relative error            0.01     0.002
        YOLOv5n at its first step: loss, relative                0.03     0.005
                                   gradient, 1 - cosine          0.5      0.06
                     its first 12 steps: mean loss, relative     0.15     0.08

    The gradient of a deep network that has learnt nothing is ill-conditioned: rounding only what its convolutions put
    out to bf16, with all else exact, already turns YOLOv5n's by 1 - cosine = 0.14. The first loss of the anchor-free
    head jumps where a rounding changes which place an object is assigned to (0.012 measured in bf16).
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    threads: int
    notes: tuple[str, ...] = ()

    @property
    def cuda(self) -> bool:
        """Whether it runs on a card, where copies and losses need not be waited for."""
        return self.device.type == "cuda"

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products and convolutions inside run in bf16 or fp16, where that was chosen."""
        half = self.dtype is not torch.float32
        return torch.autocast(self.device.type, self.dtype if half else torch.bfloat16, enabled=half)

    def scaler(self) -> GradScaler:
        """torch's loss scaling, which fp16 needs so that small gradients do not vanish; elsewhere it does nothing.

        It skips a step whose gradients overflowed and halves its scale; `state_dict()` belongs into a snapshot.
        """
        return GradScaler(self.device.type, enabled=self.dtype is torch.float16)

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
        """Threads, deterministic kernels and true float32 as chosen; before and after, torch stands as it stood.

        TF32 is off: it multiplies with 10 bits after the point, which a recipe that says fp32 does not mean. On a card
        a few operations have no deterministic kernel (bilinear upsampling's backward pass, for one): there torch warns
        and goes on, so two runs may differ in the last bits. On a CPU it raises instead.
        """
        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        memory: Any = torch.utils.deterministic
        fill = memory.fill_uninitialized_memory
        cards: Any = torch.backends
        tf32 = cards.cuda.matmul.allow_tf32, cards.cudnn.allow_tf32
        if self.cuda:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, to be deterministic
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=self.cuda)
        memory.fill_uninitialized_memory = False  # it would write NaN into every torch.empty
        cards.cuda.matmul.allow_tf32 = cards.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = fill
            cards.cuda.matmul.allow_tf32, cards.cudnn.allow_tf32 = tf32

    def describe(self) -> dict[str, str]:
        """For a record's `environment`: final weights are equal to the bit only where all of this is equal."""
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name(self.device) if self.cuda else f"cpu, {processor()}",
            "capability": torch.backends.cpu.get_cpu_capability(),
            "precision": NAMES[self.dtype],
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
    dtype, note = _dtype(train.precision, cuda)
    return Precision(
        device=torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu"),
        dtype=dtype,
        channels_last=train.channels_last,
        threads=train.threads,
        notes=(note,) if note else (),
    )


def _dtype(asked: str, cuda: bool) -> tuple[torch.dtype, str]:
    """The arithmetic, and a sentence where the processor only emulates it."""
    native = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else cpu_has_bf16()
    if asked == "auto":
        return (torch.bfloat16 if native else torch.float32), ""
    if asked == "bf16" and cuda and not native:
        name = torch.cuda.get_device_name()
        raise ConfigError(f"train.precision is 'bf16', which {name} does not have; set it to 'auto' or 'fp32'")
    native = native if asked == "bf16" else cuda or asked == "fp32" or _cpu_has("avx512_fp16", "amx_fp16")
    slow = f"train.precision is '{asked}', which this processor only emulates: expect it to be slower than fp32"
    return next(dtype for dtype, name in NAMES.items() if name == asked), "" if native else slow


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 itself (AVX512-BF16 or AMX); emulated bf16 is slower than fp32."""
    return _cpu_has("avx512_bf16", "amx_bf16")


def _cpu_has(*features: str) -> bool:
    get = getattr(torch.cpu, "get_capabilities", None)  # torch before 2.9 lacks it
    if get is not None:
        found = get()
        return any(found.get(feature) for feature in features)
    return bool(set(features) & set(_cpuinfo("flags").split()))


def processor() -> str:
    """The processor's name, as the machine gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    if not sys.platform.startswith("linux"):
        return ""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
