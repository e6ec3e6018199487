"""YOLOv5's network: blocks, backbone, neck; the heads live next door."""

from ablab.tasks.detection.blocks import Conv
from ablab.tasks.detection.model.backbone import STRIDES
from ablab.tasks.detection.model.yolo import YOLOv5, build_model, check_size

__all__ = ["STRIDES", "Conv", "YOLOv5", "build_model", "check_size"]
