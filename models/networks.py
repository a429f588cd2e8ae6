"""A 3D residual U-Net whose work is done at half resolution.

BatchNorm rather than InstanceNorm: it folds into the convolutions at export and makes the answer
independent of the tile it is computed in.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """Two 3x3x3 convolutions beside an identity (or a projection, when the width changes)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(outputs, momentum=0.03)
        self.second = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(outputs, momentum=0.03)
        self.beside = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, d, h, w) to (batch, outputs, d, h, w)."""
        y = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(y)) + self.beside(x))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 2, stride=2, bias=False),
        nn.BatchNorm3d(outputs, momentum=0.03),
        nn.ReLU(),
    )


class SctNet(nn.Module):
    """MR to HU/1000 and the logarithm of the error's Laplace scale (same unit).

    Parameters
    ----------
    widths
        Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
    fine
        Channels at full resolution.
    classes
        Tissue classes that training learns beside the HU; not exported.
    """

    stride = 16
    reach = 144  # upper bound: sum of half kernels times their sampling distance

    def __init__(
        self, widths: tuple[int, ...] = (24, 48, 96, 144), fine: int = 8, classes: int = 5
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(1, widths[0], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(widths[0], momentum=0.03),
            nn.ReLU(),
        )
        self.encoders = nn.ModuleList([Residual(w, w) for w in widths])
        self.downs = nn.ModuleList([_down(a, b) for a, b in pairwise(widths)])
        self.deep = Residual(widths[-1], widths[-1])
        self.ups = nn.ModuleList(
            [nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths)]
        )
        self.decoders = nn.ModuleList([Residual(2 * w, w) for w in widths[:-1]])
        self.expand = nn.ConvTranspose3d(widths[0], fine, 2, stride=2)
        self.edge = nn.Conv3d(fine + 1, fine, 3, padding=1)
        self.head = nn.Conv3d(fine, 2, 1)
        self.classes = nn.Conv3d(fine, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1, d, h, w), d, h, w multiples of `stride`, to two tensors of that shape."""
        out = self.head(self.features(x))
        return out[:, :1], out[:, 1:]

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give tissue classes as well, which only training needs."""
        fine = self.features(x)
        out = self.head(fine)
        return out[:, :1], out[:, 1:], self.classes(fine)

    def features(self, x: Tensor) -> Tensor:
        """Everything but the last pointwise layers."""
        x = torch.sqrt(torch.clamp(x, min=0.0) + 1e-4)
        y = self.stem(x)
        kept: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            y = encoder(y)
            if level < len(self.downs):
                kept.append(y)
                y = self.downs[level](y)
        y = self.deep(y)
        for level in reversed(range(len(self.ups))):
            y = self.decoders[level](torch.cat([self.ups[level](y), kept[level]], dim=1))
        return functional.relu(self.edge(torch.cat([self.expand(y), x], dim=1)))


def freeze_norms(network: nn.Module) -> None:
    """Make every BatchNorm use its running statistics, as it will after export."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eval()
