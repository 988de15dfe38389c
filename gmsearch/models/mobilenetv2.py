"""MobileNetV2 (arXiv 1801.04381) with the gate at its inner activations.

Parameter names are those of timm's mobilenetv2_100, so that its state dict loads with
`strict=True`. Every stride has its padding, which maps n pixels to ceil(n/2), so no map falls
below one pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.drop import DropPath
from timm.models import checkpoint_seq
from torch import Tensor, nn

from gmsearch.models.classifier import Classifier, drop_path_rates
from gmsearch.models.gate import place_modules
from gmsearch.models.weights import draw_weights
from gmsearch.networks import MobileNetV2Spec, Site
from gmsearch.networks.mobilenetv2 import OWN_ACTIVATION


class DepthwiseSeparable(nn.Module):
    """Depthwise convolution, `depthwise`, projection, shortcut: a block without expansion.

    `depthwise2` is the second factor; with `split` it is a 1x1 convolution of the block's input,
    with the block's stride.
    """

    def __init__(
        self,
        candidate: MobileNetV2Spec,
        stage: int,
        *,
        in_width: int,
        stride: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        width = candidate.widths[stage]
        self.conv_dw = _depthwise(candidate, stage, in_width, stride)
        self.bn1 = nn.BatchNorm2d(in_width)
        self.depthwise, self.depthwise2 = _depthwise_place(candidate, stage, in_width, stride)
        self.conv_pw = nn.Conv2d(in_width, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.has_skip = stride == 1 and in_width == width
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_width, H, W) to (N, width, H / stride, W / stride)."""
        h = self.bn1(self.conv_dw(x))
        h = self.depthwise(h, self.depthwise2(h, x))
        y: Tensor = self.bn2(self.conv_pw(h))
        return x + self.drop_path(y) if self.has_skip else y


class InvertedResidual(nn.Module):
    """Expansion, `expand`, depthwise convolution, `depthwise`, projection, shortcut.

    `expand2` and `depthwise2` are the second factors. With `split` they are 1x1 convolutions of
    the tensor that the convolution before the place reads: the block's input, and, with the
    block's stride, the output of `expand`.
    """

    def __init__(
        self,
        candidate: MobileNetV2Spec,
        stage: int,
        *,
        in_width: int,
        hidden: int,
        stride: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        width = candidate.widths[stage]
        self.conv_pw = nn.Conv2d(in_width, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        site = Site(hidden, in_width, candidate.gate.kernel_size)
        self.expand, self.expand2 = place_modules(
            candidate, stage, "expand", own=OWN_ACTIVATION, site=site
        )
        self.conv_dw = _depthwise(candidate, stage, hidden, stride)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.depthwise, self.depthwise2 = _depthwise_place(candidate, stage, hidden, stride)
        self.conv_pwl = nn.Conv2d(hidden, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.has_skip = stride == 1 and in_width == width
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_width, H, W) to (N, width, H / stride, W / stride)."""
        h = self.bn1(self.conv_pw(x))  # (N, hidden, H, W)
        h = self.expand(h, self.expand2(h, x))
        u = self.bn2(self.conv_dw(h))  # (N, hidden, H / stride, W / stride)
        u = self.depthwise(u, self.depthwise2(u, h))
        y: Tensor = self.bn3(self.conv_pwl(u))
        return x + self.drop_path(y) if self.has_skip else y


def _depthwise(candidate: MobileNetV2Spec, stage: int, width: int, stride: int) -> nn.Conv2d:
    kernel_size = candidate.kernel_size[stage]
    return nn.Conv2d(width, width, kernel_size, stride, kernel_size // 2, groups=width, bias=False)


def _depthwise_place(
    candidate: MobileNetV2Spec, stage: int, width: int, stride: int
) -> tuple[nn.Module, nn.Module]:
    site = Site(width, width, candidate.gate.kernel_size, stride)
    return place_modules(candidate, stage, "depthwise", own=OWN_ACTIVATION, site=site)


class MobileNetV2(Classifier):
    """Stem, seven stages of blocks, 1x1 convolution, pool, linear head.

    Args:
        candidate: The architecture.

        num_classes: Outputs of the head; 0 for no head.

        in_chans: Channels of the input.

        seed: Seed of the initial weights, see `draw_weights`.

        drop_rate: Dropout before the head.

        global_pool: One of timm's pool types; empty for none.
    """

    head_name = "classifier"

    def __init__(
        self,
        candidate: MobileNetV2Spec,
        *,
        seed: int,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        super().__init__()
        reduction = 2 if candidate.stem == "imagenet" else 1
        width = candidate.stem_width
        self.conv_stem = nn.Conv2d(in_chans, width, 3, reduction, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU6()
        rates = drop_path_rates(candidate.drop_path_rate, candidate.depths)
        stages = []
        last = len(candidate.widths) - 1
        for stage, depth in enumerate(candidate.depths):
            blocks = [_block(candidate, stage, block, next(rates)) for block in range(depth)]
            stages.append(nn.Sequential(*blocks))
            reduction *= candidate.stride(stage)
            if stage == last or candidate.stride(stage + 1) == 2:
                width = candidate.widths[stage]
                self.feature_info.append(
                    {"num_chs": width, "reduction": reduction, "module": f"blocks.{stage}"}
                )
        self.blocks = nn.Sequential(*stages)
        self.num_features = candidate.head_width
        self.conv_head = nn.Conv2d(candidate.widths[-1], self.num_features, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(self.num_features)
        self.act2 = nn.ReLU6()
        self.head_drop = nn.Dropout(drop_rate)
        self.classifier: nn.Module = nn.Identity()
        self.reset_classifier(num_classes, global_pool)
        draw_weights(self, seed=seed, init=candidate.init)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (N, in_chans, H, W) to the last map (N, head_width, h, w)."""
        x = self.act1(self.bn1(self.conv_stem(x)))
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(self.blocks, x, flatten=True)
        else:
            x = self.blocks(x)
        features: Tensor = self.act2(self.bn2(self.conv_head(x)))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Map features to logits (N, num_classes), or to the input of the head."""
        x = self.head_drop(self.global_pool(x))
        return x if pre_logits else self.classifier(x)

    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the stem's layers, the stages and the layers before the pool."""
        for name in ("conv_stem", "bn1", "act1"):
            yield name, self.get_submodule(name)
        for index, stage in enumerate(self.blocks):
            yield f"blocks.{index}", stage
        for name in ("conv_head", "bn2", "act2"):
            yield name, self.get_submodule(name)

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - timm's signature
        """Return the patterns by which timm groups parameters into stem and blocks."""
        block = r"^blocks\.(\d+)" if coarse else r"^blocks\.(\d+)\.(\d+)"
        return {
            "stem": r"^conv_stem|^bn1",
            "blocks": [(block, None), (r"^conv_head|^bn2", (99999,))],
        }


def _block(candidate: MobileNetV2Spec, stage: int, block: int, drop_path: float) -> nn.Module:
    in_width = candidate.in_width(stage, block)
    stride = candidate.stride(stage) if block == 0 else 1
    if "expand" not in candidate.places(stage):
        return DepthwiseSeparable(
            candidate, stage, in_width=in_width, stride=stride, drop_path=drop_path
        )
    return InvertedResidual(
        candidate,
        stage,
        in_width=in_width,
        hidden=candidate.hidden_width(stage, block),
        stride=stride,
        drop_path=drop_path,
    )
