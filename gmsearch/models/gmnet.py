"""GmNet as officially released (arXiv 2503.22841), its gate free in kind and place.

Parameter names are the release's, so that its state dict loads with `strict=True`. Any input of
at least one pixel is accepted: a 3x3 convolution of stride 2 and padding 1 maps n pixels to
ceil(n/2), so no map falls below one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.drop import DropPath
from timm.models import checkpoint_seq
from torch import Tensor, nn

from gmsearch.models.classifier import Classifier, drop_path_rates
from gmsearch.models.gate import Ungated, first_factor, second_factor
from gmsearch.models.weights import draw_weights
from gmsearch.networks import GmNetSpec, Site


class ConvBN(nn.Sequential):
    """Convolution with bias that keeps the size up to its stride, then batch norm if asked."""

    def __init__(
        self,
        in_chans: int,
        out_chans: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(in_chans, out_chans, kernel_size, stride, kernel_size // 2, groups=groups)
        self.add_module("conv", conv)
        if norm:
            self.add_module("bn", nn.BatchNorm2d(out_chans))


class Block(nn.Module):
    """Depthwise, expansion, gate, projection, depthwise, layer scale, residual.

    `input`, `expand` and `output` are the three places of the gate, after `dwconv`, `f1` and `g`;
    `input2`, `f2` and `output2` are the second factors there. A second factor is a function of
    the gated tensor, except that of `split`: a 1x1 convolution, to the gated tensor's width, of
    the tensor that the layer before the place reads: the block's input at `input`, the depthwise
    output at `expand` (StarNet's f2), the expanded tensor at `output`.
    """

    def __init__(self, candidate: GmNetSpec, stage: int, drop_path: float) -> None:
        super().__init__()
        width, hidden = candidate.widths[stage], candidate.hidden_width(stage)
        kernel_size = candidate.kernel_size[stage]
        self.dwconv = ConvBN(width, width, kernel_size, groups=width)
        self.input, self.input2 = _place_modules(candidate, stage, "input", width, width)
        self.f1 = ConvBN(width, hidden, norm=False)
        self.expand, self.f2 = _place_modules(candidate, stage, "expand", hidden, width)
        self.g = ConvBN(hidden, width)
        self.output, self.output2 = _place_modules(candidate, stage, "output", width, hidden)
        self.dwconv2 = ConvBN(width, width, kernel_size, groups=width, norm=False)
        self.gamma = (
            None
            if candidate.layer_scale is None
            else nn.Parameter(torch.full((width,), candidate.layer_scale))
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        u = self.dwconv(x)
        u = self.input(u, self.input2(u, x))
        h = self.f1(u)  # (N, hidden, H, W)
        h = self.expand(h, self.f2(h, u))
        y = self.g(h)  # (N, C, H, W)
        y = self.output(y, self.output2(y, h))
        y = self.dwconv2(y)
        if self.gamma is not None:
            y = y * self.gamma.view(-1, 1, 1)
        z: Tensor = x + self.drop_path(y)
        return z


def _place_modules(
    candidate: GmNetSpec, stage: int, place: str, width: int, source_width: int
) -> tuple[nn.Module, nn.Module]:
    """Return first and second factor of a place; an ungated `expand` keeps the activation."""
    gate = candidate.gate
    product = gate.product_in(stage) if place in gate.placement else "none"
    site = Site(width, source_width, gate.kernel_size)
    second = second_factor(product, site)
    if product == "none" and place != "expand":
        return Ungated(), second
    unit_variance = candidate.init if candidate.gain == "unit_variance" else None
    return first_factor(product, gate, site, unit_variance=unit_variance), second


class GmNet(Classifier):
    """Convolutional stem, stages of a strided convolution and blocks, norm, pool, linear head.

    Args:
        candidate: The architecture.

        num_classes: Outputs of the head; 0 for no head.

        in_chans: Channels of the input.

        seed: Seed of the initial weights, see `draw_weights`.

        drop_rate: Dropout before the head.

        global_pool: One of timm's pool types; empty for none.
    """

    def __init__(
        self,
        candidate: GmNetSpec,
        *,
        seed: int,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        stride = 2 if candidate.stem == "imagenet" else 1
        self.stem = nn.Sequential(
            ConvBN(in_chans, candidate.stem_width, 3, stride=stride), nn.ReLU6()
        )
        rates = drop_path_rates(candidate.drop_path_rate, candidate.depths)
        stages = []
        before = candidate.stem_width
        for stage, (width, depth) in enumerate(
            zip(candidate.widths, candidate.depths, strict=True)
        ):
            # The release's slot for an activation after the downsampler, which S3 leaves empty.
            down = nn.Sequential(ConvBN(before, width, 3, stride=2), nn.Identity())
            blocks = [Block(candidate, stage, next(rates)) for _ in range(depth)]
            stages.append(nn.Sequential(down, *blocks))
            reduction = stride * 2 ** (stage + 1)
            self.feature_info.append(
                {"num_chs": width, "reduction": reduction, "module": f"stages.{stage}"}
            )
            before = width
        self.stages = nn.Sequential(*stages)
        self.num_features = before
        self.norm = nn.BatchNorm2d(before)
        self.head_drop = nn.Dropout(drop_rate)
        self.head: nn.Module = nn.Identity()
        self.reset_classifier(num_classes, global_pool)
        draw_weights(self, seed=seed, init=candidate.init)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (N, in_chans, H, W) to the normed last map (N, widths[-1], h, w)."""
        x = self.stem(x)
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(self.stages, x, flatten=True)
        else:
            x = self.stages(x)
        features: Tensor = self.norm(x)
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Map features to logits (N, num_classes), or to the input of the head."""
        x = self.head_drop(self.global_pool(x))
        return x if pre_logits else self.head(x)

    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield stem, stages and norm."""
        yield "stem", self.stem
        for index, stage in enumerate(self.stages):
            yield f"stages.{index}", stage
        yield "norm", self.norm

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - timm's signature
        """Return the patterns by which timm groups parameters into stem and blocks."""
        block = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^stem", "blocks": [(block, None), (r"^norm", (99999,))]}
