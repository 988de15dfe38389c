"""ResNet-18 (arXiv 1512.03385) with the gate at its inner activations.

Parameter names are torchvision's and timm's, so that their state dicts load with `strict=True`.
Every stride has its padding, which maps n pixels to ceil(n/2), so no map falls below one pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.drop import DropPath
from timm.models import checkpoint_seq
from torch import Tensor, nn

from gmsearch.models.classifier import Classifier, drop_path_rates
from gmsearch.models.gate import Gated, place_modules
from gmsearch.models.weights import draw_weights
from gmsearch.networks import ResNet18Spec, Site
from gmsearch.networks.resnet18 import OWN_ACTIVATION


class BasicBlock(nn.Module):
    """Convolution, `inner`, convolution, shortcut, `outer`.

    `inner2` and `outer2` are the second factors. With `split` they are 1x1 convolutions of the
    tensor that the convolution before the place reads: the block's input, with the block's
    stride, and the output of `inner`.
    """

    def __init__(
        self,
        candidate: ResNet18Spec,
        stage: int,
        *,
        in_width: int,
        stride: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        width = candidate.widths[stage]
        self.conv1 = nn.Conv2d(in_width, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        kernel_size = candidate.gate.kernel_size
        site = Site(width, in_width, kernel_size, stride)
        self.inner, self.inner2 = place_modules(
            candidate, stage, "inner", own=OWN_ACTIVATION, site=site
        )
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Identity()
            if stride == 1 and in_width == width
            else nn.Sequential(
                nn.Conv2d(in_width, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        site = Site(width, width, kernel_size)
        self.outer, self.outer2 = place_modules(
            candidate, stage, "outer", own=OWN_ACTIVATION, site=site
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_width, H, W) to (N, width, H / stride, W / stride)."""
        h = self.bn1(self.conv1(x))  # (N, width, H / stride, W / stride)
        h = self.inner(h, self.inner2(h, x))
        y = self.bn2(self.conv2(h))
        y = self.downsample(x) + self.drop_path(y)
        z: Tensor = self.outer(y, self.outer2(y, h))
        return z


class ResNet18(Classifier):
    """Stem, one to four stages of basic blocks, pool, linear head.

    Args:
        candidate: The architecture.

        num_classes: Outputs of the head; 0 for no head.

        in_chans: Channels of the input.

        seed: Seed of the initial weights, see `draw_weights`.

        drop_rate: Dropout before the head.

        global_pool: One of timm's pool types; empty for none.

        product_variance: Running variance that the norm of a gated `inner` starts with. PyTorch's
            1 lets the products of an untrained network square the map from block to block in
            eval mode. Training mode does not read it, and a batch leaves 0.9 of it.
    """

    head_name = "fc"

    def __init__(
        self,
        candidate: ResNet18Spec,
        *,
        seed: int,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
        product_variance: float = 1.0,
    ) -> None:
        super().__init__()
        before = candidate.stem_width
        imagenet = candidate.stem == "imagenet"
        # In the order of the forward pass, in which timm's extractor of maps runs them.
        self.conv1 = (
            nn.Conv2d(in_chans, before, 7, 2, 3, bias=False)
            if imagenet
            else nn.Conv2d(in_chans, before, 3, 1, 1, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(before)
        self.act1 = nn.ReLU()
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        reduction = 2 if imagenet else 1
        self.feature_info = [{"num_chs": before, "reduction": reduction, "module": "act1"}]
        reduction *= reduction
        rates = drop_path_rates(candidate.drop_path_rate, candidate.depths)
        stages: list[nn.Module] = []
        for stage, (width, depth) in enumerate(
            zip(candidate.widths, candidate.depths, strict=True)
        ):
            stride, blocks = candidate.stride(stage), []
            for _ in range(depth):
                block = BasicBlock(
                    candidate, stage, in_width=before, stride=stride, drop_path=next(rates)
                )
                blocks.append(block)
                before, stride = width, 1
            stages.append(nn.Sequential(*blocks))
            reduction *= candidate.stride(stage)
            self.feature_info.append(
                {"num_chs": width, "reduction": reduction, "module": f"layer{stage + 1}"}
            )
        # A network of fewer stages ends early: the missing stages return their input.
        stages += [nn.Identity()] * (4 - len(stages))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.num_features = before
        self.head_drop = nn.Dropout(drop_rate)
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes, global_pool)
        draw_weights(self, seed=seed, init=candidate.init)
        for module in self.modules():
            if isinstance(module, BasicBlock) and isinstance(module.inner, Gated):
                nn.init.constant_(module.bn2.get_buffer("running_var"), product_variance)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (N, in_chans, H, W) to the last map (N, widths[-1], h, w)."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(
                [self.layer1, self.layer2, self.layer3, self.layer4], x, flatten=True
            )
        else:
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 - timm's signature
        """Map features to logits (N, num_classes), or to the input of the head."""
        x = self.head_drop(self.global_pool(x))
        return x if pre_logits else self.fc(x)

    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the stem's layers and the stages."""
        names = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4")
        for name in names:
            yield name, self.get_submodule(name)

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - timm's signature
        """Return the patterns by which timm groups parameters into stem and blocks."""
        block = r"^layer(\d+)" if coarse else r"^layer(\d+)\.(\d+)"
        return {"stem": r"^conv1|^bn1", "blocks": block}
