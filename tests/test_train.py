"""Training: reproducible, the same data order for every arm, refusing what is not finite."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gmsearch.candidate import Recipe, candidate_from, recipe_from
from gmsearch.errors import DivergedError
from gmsearch.models import build
from gmsearch.train import Epoch, InMemory, learning_rate, train

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
NET = {"widths": [8, 8], "depths": [1, 1], "stem_width": 8, "kernel_size": 3, "mlp_ratio": 2}


@pytest.fixture
def images() -> Tensor:
    """Return noise images, uint8 (96, 16, 16, 3)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (96, 16, 16, 3), generator=generator).to(torch.uint8)


@pytest.fixture
def labels() -> Tensor:
    """Return four classes in turn."""
    return torch.arange(96) % 4


def memory(images: Tensor, labels: Tensor, recipe: Recipe) -> InMemory:
    """Return the batches of the images as every test here normalises them."""
    return InMemory(images, labels, recipe, mean=MEAN, std=STD)


def run(images: Tensor, labels: Tensor, recipe: Recipe, *, seed: int = 0, **gate: Any) -> Any:
    """Train a tiny network; return loss and digest of the weights after each epoch."""
    torch.set_num_threads(1)
    model = build(candidate_from({**NET, "gate": gate}), num_classes=4, seed=seed)
    steps = train(model, memory(images, labels, recipe), recipe, seed=seed)
    return [(e.train_loss, weights_digest(e.model)) for e in steps]


def weights_digest(model: nn.Module) -> str:
    """Return a hash of every bit of the weights and statistics."""
    hasher = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        hasher.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return hasher.hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "lr": 0.05, "clip_grad": 1.0},
        {"ema": 0.9, "label_smoothing": 0.1, "warmup_epochs": 1},
        {"dtype": "bfloat16", "augment": "flip"},
    ],
)
def test_one_seed_gives_one_result(
    images: Tensor, labels: Tensor, changes: dict[str, Any]
) -> None:
    """The same seed on the same CPU gives the same bits, in every epoch; another seed others."""
    recipe = recipe_from({"epochs": 2, "batch_size": 32, **changes})
    first = run(images, labels, recipe)
    torch.rand(7)  # whatever else drew from the global generator must not matter
    assert run(images, labels, recipe) == first
    assert run(images, labels, recipe, seed=1) != first


def test_training_learns(images: Tensor, labels: Tensor) -> None:
    """Four classes told by brightness are learnt within a few epochs."""
    bright = (labels * 60)[:, None, None, None].expand(-1, 16, 16, 3).to(torch.uint8)
    recipe = recipe_from({"epochs": 12, "batch_size": 16, "lr": 1e-2})
    losses = [loss for loss, _ in run(bright, labels, recipe)]
    assert losses[-1] < 0.5 * losses[0]


def test_arms_of_one_seed_see_the_same_batches(images: Tensor, labels: Tensor) -> None:
    """Order and augmentation depend on seed and epoch alone, and change with both."""

    def batches(seed: int, epoch: int) -> list[Tensor]:
        made = memory(images, labels, Recipe(batch_size=32))
        return [x for x, _ in made.epoch(seed, epoch)]

    one, again = batches(3, 2), batches(3, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], batches(3, 1)[0])
    assert not torch.equal(one[0], batches(4, 2)[0])


def test_batches_cover_the_data_once(images: Tensor, labels: Tensor) -> None:
    """Without augmentation an epoch is a permutation of the normalised images."""
    batches = memory(images, labels, Recipe(batch_size=32, augment="none"))
    x, y = map(torch.cat, zip(*batches.epoch(0, 1), strict=True))
    expected = (images.double() / 255 - torch.tensor(MEAN).double()) / torch.tensor(STD).double()
    pixels = expected.permute(0, 3, 1, 2)
    found = (x.double()[:, None] - pixels[None]).abs().amax(dim=(2, 3, 4)) < 1e-5
    assert found.sum(0).eq(1).all()
    assert torch.equal(y, labels[found.long().argmax(1)])
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_crop_and_flip_equal_the_plain_way(images: Tensor, labels: Tensor) -> None:
    """Every augmented image is a crop of the image as numpy pads it, flipped or not."""
    made = InMemory(images, labels, Recipe(batch_size=96), mean=(0, 0, 0), std=(1, 1, 1))
    x = next(iter(made.epoch(0, 1)))[0].permute(0, 2, 3, 1).mul(255).round().numpy()
    padded = np.pad(images.numpy(), [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    crops = {
        crop.tobytes()
        for row in range(5)
        for column in range(5)
        for image in padded[:, row : row + 16, column : column + 16]
        for crop in (image, np.ascontiguousarray(image[:, ::-1]))
    }
    assert all(image.astype(np.uint8).tobytes() in crops for image in x)
    assert len({image.tobytes() for image in x}) == 96


def test_the_last_short_batch_is_left_out(images: Tensor, labels: Tensor) -> None:
    """Batch norm sees full batches only; a set smaller than a batch is one batch."""
    assert [len(b) for b in (memory(images, labels, Recipe(batch_size=40)),)] == [2]
    assert len(memory(images, labels, Recipe(batch_size=1000))) == 1


def test_a_loss_that_is_not_finite_stops_at_once(images: Tensor, labels: Tensor) -> None:
    """Training stops at the first bad step and names epoch and step."""
    recipe = recipe_from({"epochs": 3, "batch_size": 16, "lr": 1e30, "optimizer": "sgd"})
    with pytest.raises(DivergedError, match=r"loss is (nan|inf) at epoch 1, step \d"):
        run(images, labels, recipe)


def test_the_average_is_evaluated_where_the_recipe_has_one(images: Tensor, labels: Tensor) -> None:
    """With ema the model handed out is the average, which lags behind the weights."""
    recipe = recipe_from({"epochs": 1, "batch_size": 32, "ema": 0.5})
    model = build(candidate_from(NET), num_classes=4, seed=0)
    start = {k: v.clone() for k, v in model.named_parameters()}
    epoch: Epoch = next(train(model, memory(images, labels, recipe), recipe, seed=0))
    name = "stem.0.conv.weight"
    moved = (dict(model.named_parameters())[name] - start[name]).norm()
    lagged = (dict(epoch.model.named_parameters())[name] - start[name]).norm()
    assert 0 < lagged < moved


def test_only_matrices_are_decayed(images: Tensor, labels: Tensor) -> None:
    """Weight decay leaves tensors of one dimension alone (timm's convention)."""
    recipe = recipe_from({"epochs": 1, "batch_size": 96, "lr": 1e-3, "weight_decay": 0.9})
    plain = recipe_from({"epochs": 1, "batch_size": 96, "lr": 1e-3, "weight_decay": 0.0})
    models = []
    for chosen in (recipe, plain):
        model = build(candidate_from(NET), num_classes=4, seed=0)
        list(train(model, memory(images, labels, chosen), chosen, seed=0))
        models.append(dict(model.named_parameters()))
    for name, tensor in models[0].items():
        assert torch.equal(tensor, models[1][name]) == (tensor.ndim <= 1), name


def test_learning_rate_warms_up_and_follows_a_cosine() -> None:
    """Linear from zero to the peak, then half a cosine down to the smallest rate."""
    recipe = recipe_from({"epochs": 10, "warmup_epochs": 2, "lr": 1.0, "min_lr": 0.1})
    rates = [learning_rate(recipe, step, 100) for step in range(1, 1001)]
    assert rates[:200] == pytest.approx([step / 200 for step in range(1, 201)])
    expected = [0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * s / 800)) for s in range(800)]
    assert rates[200:] == pytest.approx(expected)
    constant = recipe_from({"schedule": "constant", "lr": 0.3})
    assert {learning_rate(constant, step, 7) for step in range(1, 70)} == {0.3}
