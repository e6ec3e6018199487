"""Networks that nobody here wrote: torchvision's and timm's, with drawn weights, on small images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
import torchvision
from torch import nn

from ablab.measure.forward import Example
from ablab.measure.seeding import forked

CLASSES = 10


@dataclass(frozen=True)
class Network:
    """`build` draws the weights; `size` is the side of its square image in pixels."""

    name: str
    task: str
    build: Callable[[], nn.Module]
    size: int = 64

    def model(self) -> nn.Module:
        """The network in evaluation mode; equal calls give equal weights."""
        with forked("zoo", self.name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.build().eval()

    def example(self) -> Example:
        """An image as a batch of one; for a detector as a list of one."""
        with forked("example", self.name):
            image = torch.rand(3, self.size, self.size)
        return ([image],) if self.task == "detection" else image[None]


def _torchvision(name: str, size: int = 64, task: str = "classification", **options: object) -> Network:
    room = {"classification": torchvision.models, "segmentation": torchvision.models.segmentation}
    build = getattr(room.get(task, torchvision.models.detection), name)
    options = {"weights": None, "num_classes": CLASSES} | options
    if task != "classification":
        options["weights_backbone"] = None
    return Network(f"torchvision {name}", task, lambda: build(**options), size)


def _timm(name: str, **options: object) -> Network:
    return Network(f"timm {name}", "classification", lambda: timm.create_model(name, num_classes=CLASSES, **options))


def _ssdlite() -> nn.Module:
    model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=CLASSES
    )
    model.transform.fixed_size = (64, 64)
    return model


_PLAIN = (
    "alexnet vgg11_bn resnet18 resnet50 resnext50_32x4d densenet121 mobilenet_v2 mobilenet_v3_small "
    "mobilenet_v3_large shufflenet_v2_x0_5 efficientnet_b0 efficientnet_v2_s regnet_y_400mf regnet_x_400mf "
    "convnext_tiny mnasnet0_5 squeezenet1_1 swin_t swin_v2_t"
)
_TIMM = (
    "resnet10t seresnet18 resnetv2_50 resnest14d skresnet18 ecaresnet26t repvgg_a0 xception41 selecsls42b darknet17 "
    "cspdarknet53 ghostnet_050 repghostnet_050 mobilenetv4_conv_small hrnet_w18_small dla34 dpn48b nfnet_l0 "
    "convmixer_768_32 poolformer_s12 efficientvit_b0 efficientvit_m0 convnext_atto convnextv2_atto mobilevit_xxs "
    "edgenext_xx_small tf_efficientnet_lite0 rexnet_100 ese_vovnet19b_dw gernet_s hardcorenas_a fastvit_t8 "
    "starnet_s1 inception_next_atto mobileone_s0 regnetz_005 pvt_v2_b0"
)
_SIZED = (
    "deit_tiny_patch16_224 swin_tiny_patch4_window7_224 mixer_s32_224 levit_128s coatnet_nano_rw_224 "
    "xcit_nano_12_p16_224 cait_xxs24_224 pit_ti_224 gmlp_s16_224 resmlp_12_224 sequencer2d_s botnet26t_256"
)
_SMALLEST = {"min_size": 64, "max_size": 64}

ZOO = {
    network.name: network
    for network in (
        *(_torchvision(name) for name in _PLAIN.split()),
        _torchvision("googlenet", init_weights=False, aux_logits=True),
        _torchvision("inception_v3", 96, init_weights=False, aux_logits=True),  # 64 pixels are too few for it
        _torchvision("vit_b_32", image_size=64),
        _torchvision("maxvit_t", 224),  # its windows of 7 want multiples of 224
        *(_timm(name) for name in _TIMM.split()),
        *(_timm(name, img_size=64) for name in _SIZED.split()),
        _torchvision("fcn_resnet50", task="segmentation"),
        _torchvision("deeplabv3_mobilenet_v3_large", task="segmentation"),
        _torchvision("lraspp_mobilenet_v3_large", task="segmentation"),
        Network("torchvision ssdlite320_mobilenet_v3_large", "detection", _ssdlite),
        _torchvision("retinanet_resnet50_fpn", task="detection", **_SMALLEST),
        _torchvision("fcos_resnet50_fpn", task="detection", **_SMALLEST),
        _torchvision("fasterrcnn_mobilenet_v3_large_320_fpn", task="detection", **_SMALLEST),
    )
}
# Those that build and run in some hundredths of a second, for tests.
_SMALL = (
    "torchvision: resnet18 densenet121 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 efficientnet_b0 "
    "regnet_x_400mf mnasnet0_5 squeezenet1_1 googlenet lraspp_mobilenet_v3_large ssdlite320_mobilenet_v3_large "
    "timm: resnet10t ghostnet_050 mobilenetv4_conv_small efficientvit_b0 convnext_atto mobilevit_xxs "
    "edgenext_xx_small deit_tiny_patch16_224 starnet_s1 pvt_v2_b0 pit_ti_224 regnetz_005"
)
SMALL = tuple(name for name in ZOO if name.split()[1] in _SMALL.split())
