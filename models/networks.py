"""A residual U-Net that sees one axial slice whole, with its neighbours as further channels.

Water is as dark as compact bone in many T1 images; where in the head a voxel lies tells them apart,
and a whole slice shows that where a cube of the same cost does not. The work is done at half
resolution. BatchNorm rather than InstanceNorm: it folds into the convolutions at export and makes
the answer independent of the tile it is computed in.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

OFFSETS = (-10, -5, -2, -1, 0, 1, 2, 5, 10)
"""Slices that are seen with each slice, in voxels; beyond the ends stands the last slice."""


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity (or a projection, when the width changes)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.beside = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) to (batch, outputs, h, w)."""
        y = functional.relu(self.norm1(self.first(x)))
        return functional.relu(self.norm2(self.second(y)) + self.beside(x))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 2, stride=2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class SctNet(nn.Module):
    """MR to HU/1000 and the logarithm of the error's Laplace scale (same unit).

    Parameters
    ----------
    widths
        Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution.
    fine
        Channels at full resolution.
    classes
        Tissue classes that training learns beside the HU; not exported.
    """

    stride = 32
    reach = 480  # within a slice: the sum of half kernels times their sampling distance is below it
    stack_reach = OFFSETS[-1]

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 128, 192, 192),
        fine: int = 16,
        classes: int = 7,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(len(OFFSETS), widths[0], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.encoders = nn.ModuleList([Residual(w, w) for w in widths])
        self.downs = nn.ModuleList([_down(a, b) for a, b in pairwise(widths)])
        self.ups = nn.ModuleList(
            [nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths)]
        )
        self.decoders = nn.ModuleList([Residual(2 * w, w) for w in widths[:-1]])
        self.expand = nn.ConvTranspose2d(widths[0], fine, 2, stride=2)
        self.edge = nn.Conv2d(fine + len(OFFSETS), fine, 3, padding=1)
        self.last = nn.Conv2d(fine, fine, 3, padding=1)
        self.head = nn.Conv2d(fine, 2, 1)
        self.classes = nn.Conv2d(fine, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 1, d, h, w), h and w multiples of `stride`, to two tensors of that shape."""
        out = self.head(self.features(with_neighbours(x)))
        return out[:, 0][None, None], out[:, 1][None, None]

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, len(OFFSETS), h, w) to HU, scale and the classes that only training needs."""
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
        for level in reversed(range(len(self.ups))):
            y = self.decoders[level](torch.cat([self.ups[level](y), kept[level]], dim=1))
        y = functional.relu(self.edge(torch.cat([self.expand(y), x], dim=1)))
        return functional.relu(self.last(y)) + y


def with_neighbours(x: Tensor) -> Tensor:
    """(1, 1, d, h, w) to (d, len(OFFSETS), h, w): each slice with the slices around it."""
    ends = OFFSETS[-1]
    return neighbours(functional.pad(x, (0, 0, 0, 0, ends, ends), mode="replicate")[0, 0])


def neighbours(x: Tensor) -> Tensor:
    """(d, h, w) to (d less twice the last of `OFFSETS`, len(OFFSETS), h, w), ends left out."""
    ends = OFFSETS[-1]
    depth = x.shape[0] - 2 * ends
    return torch.stack([x.narrow(0, ends + n, depth) for n in OFFSETS], dim=1)
