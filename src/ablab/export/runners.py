"""What runs a shipped model: letterboxed uint8 (B, H, W, 3) in, boxes (B, N, 4) in its pixels and scores (B, N, C) out.

runtime        file                  arithmetic
torch          weights.safetensors   float32, channels_last, norms folded
torch-bf16     weights.safetensors   convolutions in bf16
torch-export   model.pt2             float32; only for a bundle of one's own: torch unpickles what it reads there
onnx           model.onnx            float32 in ONNX Runtime
onnx-nms       model-nms.onnx        the same with suppression inside: what is left, each with its one class
openvino       openvino.xml          float32
openvino-bf16  openvino.xml          bf16 where the processor has it
openvino-fp16  openvino-fp16.xml     weights rounded to fp16, arithmetic in float32
onnx-int8      model-int8.onnx       convolutions in int8, their ranges from training images
openvino-int8  openvino-int8.xml     the same
tensorrt       model.engine          fp16 on an NVIDIA card
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ablab.errors import ConfigError, UnknownName
from ablab.export.deployed import Deployed, Outputs, Runner
from ablab.export.extra import need
from ablab.export.fuse import fuse

__all__ = [
    "RUNTIMES",
    "Network",
    "OnnxDetector",
    "OnnxRunner",
    "OpenVinoRunner",
    "ProgramRunner",
    "Runner",
    "Runtime",
    "TensorRTRunner",
    "TorchRunner",
    "open_runner",
]

Arithmetic = Literal["fp32", "bf16", "fp16", "int8"]
Network = Callable[[], nn.Module]  # restores the network of a bundle, as of any run's folder


@dataclass(frozen=True)
class Runtime:
    """The `file` it reads, of the format that `ablab export --to` names; `auto` may choose it; `exact` is float32."""

    format: str
    file: str
    arithmetic: Arithmetic = "fp32"
    auto: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """All that it reads: OpenVINO keeps weights beside the graph."""
        return (self.file, self.file.replace(".xml", ".bin")) if self.file.endswith(".xml") else (self.file,)

    @property
    def exact(self) -> bool:
        """Whether its outputs must be the network's own up to float32's rounding."""
        return self.arithmetic == "fp32"


RUNTIMES = {
    "torch": Runtime("torch", "weights.safetensors"),
    "torch-bf16": Runtime("torch", "weights.safetensors", "bf16"),
    "torch-export": Runtime("torch-export", "model.pt2", auto=False),
    "onnx": Runtime("onnx", "model.onnx"),
    "onnx-nms": Runtime("onnx-nms", "model-nms.onnx", auto=False),
    "openvino": Runtime("openvino", "openvino.xml"),
    "openvino-bf16": Runtime("openvino", "openvino.xml", "bf16"),
    "openvino-fp16": Runtime("openvino-fp16", "openvino-fp16.xml", "fp16"),
    "onnx-int8": Runtime("onnx-int8", "model-int8.onnx", "int8"),
    "openvino-int8": Runtime("openvino-int8", "openvino-int8.xml", "int8"),
    "tensorrt": Runtime("tensorrt", "model.engine", "fp16"),
}


class TorchRunner:
    """torch on the CPU in channels_last, with norms folded; `bf16` under autocast, as networks are evaluated."""

    def __init__(self, network: nn.Module, image_size: tuple[int, int], bf16: bool = False) -> None:
        network = network.eval()
        self.bf16 = bf16
        self.model = Deployed(fuse(network, torch.full((1, 3, *image_size), 0.5))).eval()
        for tensor in self.model.parameters():
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)

    def __call__(self, images: np.ndarray) -> Outputs:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext():
            boxes, scores = self.model(torch.from_numpy(images))
        return boxes.float().numpy(), scores.float().numpy()


class ProgramRunner:
    """A program of torch.export. Raises ConfigError unless `trusted`: reading it may run what is in it."""

    def __init__(self, path: Path, trusted: bool = False) -> None:
        if not trusted:
            raise ConfigError(
                f"{path} was not opened: torch unpickles parts of a .pt2, which can run code of whoever wrote it; take "
                f"another runtime, or, for a bundle of your own, open_runner(..., trusted=True) in Python"
            )
        self.run: Any = torch.export.load(path).module()

    def __call__(self, images: np.ndarray) -> Outputs:
        with torch.inference_mode():
            boxes, scores = self.run(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy()


class OnnxRunner:
    """ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        onnxruntime = need("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> Outputs:
        boxes, scores = self.session.run(None, {self.input: images})
        return boxes, scores


class OnnxDetector(OnnxRunner):
    """The same, with suppression inside the model: N is what it leaves at most, and a box scores for one class."""

    def __init__(self, path: Path, classes: int, threads: int | None = None) -> None:
        super().__init__(path, threads)
        self.classes = classes

    def __call__(self, images: np.ndarray) -> Outputs:
        boxes, scores, labels = self.session.run(None, {self.input: images})
        own = labels[..., None] == np.arange(self.classes)  # (B, N, C)
        return boxes, np.where(own, scores[..., None], np.float32(0))


class OpenVinoRunner:
    """OpenVINO on the CPU.

    For single images it is compiled for latency. For a `batch` it is compiled for throughput: the batch is cut into as
    many parts as OpenVINO wants at once, each of which runs on threads of its own.
    """

    def __init__(self, path: Path, bf16: bool = False, threads: int | None = None, batch: int = 1) -> None:
        openvino = need("openvino")
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT" if batch > 1 else "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") if batch > 1 else 1
        self.requests = [compiled.create_infer_request() for _ in range(min(count, batch))]

    def __call__(self, images: np.ndarray) -> Outputs:
        parts = np.array_split(images, min(len(self.requests), max(len(images), 1)))
        running = self.requests[: len(parts)]
        for request, part in zip(running, parts, strict=True):
            request.start_async({0: part}, share_inputs=True)
        for request in running:
            request.wait()
        boxes, scores = ([np.array(r.get_output_tensor(i).data) for r in running] for i in (0, 1))
        return np.concatenate(boxes), np.concatenate(scores)


class TensorRTRunner:
    """A TensorRT engine on the current CUDA card. Raises ConfigError where the package, the card or the fit is missing.

    After NVIDIA's Python API for TensorRT 10: named tensors, `execute_async_v3`.
    """

    def __init__(self, path: Path) -> None:
        tensorrt = need("tensorrt")
        if not torch.cuda.is_available():
            raise ConfigError(f"{path} runs on an NVIDIA card, and torch finds none here; take another runtime")
        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        self.engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if self.engine is None:
            raise ConfigError(f"{path} was built by another TensorRT or for another card; build it here, with trtexec")
        self.context = self.engine.create_execution_context()

    def __call__(self, images: np.ndarray) -> Outputs:
        given = torch.from_numpy(images).cuda()
        if not self.context.set_input_shape("images", tuple(given.shape)):
            raise ConfigError(f"the engine does not take a batch of {len(images)}; give it fewer images at once")
        made = {name: torch.empty(tuple(self.context.get_tensor_shape(name)), device="cuda") for name in _OUTPUTS}
        for name, tensor in {"images": given, **made}.items():
            self.context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        self.context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        boxes, scores = (made[name].cpu().numpy() for name in _OUTPUTS)
        return boxes, scores


_OUTPUTS = ("boxes", "scores")


def open_runner(
    name: str,
    folder: Path,
    *,
    image_size: tuple[int, int],
    classes: int,
    network: Network | None = None,
    threads: int | None = None,
    batch: int = 1,
    trusted: bool = False,
) -> Runner:
    """Open a runtime on its file in a bundle's folder.

    `network` restores the network for the torch runtimes; `threads` is for ONNX Runtime and OpenVINO (torch's are the
    process's); `batch` is how many images come at once, as a rule. Raises UnknownName for a runtime that there is not,
    ConfigError for one that cannot run here.
    """
    if name not in RUNTIMES:
        raise UnknownName("runtime", name, RUNTIMES)
    runtime = RUNTIMES[name]
    path, bf16 = folder / runtime.file, runtime.arithmetic == "bf16"
    if runtime.format == "torch":
        if network is None:
            raise ConfigError(f"the runtime {name} wants the network, and nothing was given that restores it")
        return TorchRunner(network(), image_size, bf16)
    opening: dict[str, Callable[[], Runner]] = {
        "torch-export": lambda: ProgramRunner(path, trusted),
        "onnx": lambda: OnnxRunner(path, threads),
        "onnx-nms": lambda: OnnxDetector(path, classes, threads),
        "openvino": lambda: OpenVinoRunner(path, bf16, threads, batch),
        "openvino-fp16": lambda: OpenVinoRunner(path, bf16, threads, batch),
        "onnx-int8": lambda: OnnxRunner(path, threads),
        "openvino-int8": lambda: OpenVinoRunner(path, bf16, threads, batch),
        "tensorrt": lambda: TensorRTRunner(path),
    }
    return opening[runtime.format]()
