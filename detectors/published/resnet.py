"""ResNet-50 with the variations that detectors make of it; keys are named as torchvision names them."""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS, BLOCKS = (64, 128, 256, 512), (3, 4, 6, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    """Three convolutions, 1x1, 3x3 and 1x1, beside a shortcut.

    The stride is that of the 3x3 convolution. Source: He et al. 2016, arXiv:1512.03385, figure 5.
    """

    def __init__(
        self, inputs: int, width: int, stride: int = 1, *, kernel: int = 3, padding: int = 1
    ) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel, stride=stride, padding=padding, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, 4 width, h / stride, w / stride)."""
        branch = self.relu(self.bn1(self.conv1(maps)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        # Without padding the branch shrinks, and the shortcut is cropped to it (BagNet, arXiv:1904.00760).
        height, width = branch.shape[-2:]
        out: Tensor = self.relu(branch + shortcut[..., :height, :width])
        return out


class ResNet50(nn.Module):
    """ResNet-50, or its first stages, under one linear layer.

    Args:
        outputs: Number of outputs.
        kernel: Side of the first convolution.
        stride: Stride of that convolution.
        pool_stride: Stride of the pooling behind it.
        stages: How many of the four stages there are.
        head: Name of the linear layer.
    """

    def __init__(
        self,
        outputs: int,
        *,
        kernel: int = 7,
        stride: int = 2,
        pool_stride: int = 2,
        stages: int = 4,
        head: str = "fc",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=pool_stride, padding=1)
        inputs = 64
        self._stages = [f"layer{stage}" for stage in range(1, stages + 1)]
        for name, width, blocks in zip(self._stages, WIDTHS, BLOCKS, strict=False):
            first = Bottleneck(inputs, width, stride=1 if width == WIDTHS[0] else 2)
            inputs = width * EXPANSION
            further = [Bottleneck(inputs, width) for _ in range(blocks - 1)]
            self.add_module(name, nn.Sequential(first, *further))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self._head = head
        self.add_module(head, nn.Linear(inputs, outputs))

    def features(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) float32 to the last stage's maps."""
        maps: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(batch))))
        for name in self._stages:
            maps = self.get_submodule(name)(maps)
        return maps

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) float32 to (N, outputs)."""
        pooled = self.avgpool(self.features(batch)).flatten(1)
        scores: Tensor = self.get_submodule(self._head)(pooled)
        return scores
