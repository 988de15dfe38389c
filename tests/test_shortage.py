"""Memory of a CPU that runs out, and weights that layers share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gmsearch import runner
from gmsearch.data import load
from gmsearch.experiment import Arm, Bands, Spectral, TrialPlan, recipe_from
from gmsearch.ledger import weights
from gmsearch.models import load_checkpoint
from gmsearch.networks import candidate_from
from gmsearch.runner.trial import _keep
from gmsearch.train import is_shortage

LITTLE_MEMORY = """
import json, resource, torch
from gmsearch.experiment import recipe_from
from gmsearch.models import build
from gmsearch.networks import candidate_from
from gmsearch.train import InMemory, train

torch.set_num_threads(1)
recipe = recipe_from({"epochs": 1, "batch_size": 512, "augment": "none"})
network = candidate_from({"widths": [16], "depths": [1], "stem": "cifar"})

def epochs(count):
    images = torch.zeros((count, 32, 32, 3), dtype=torch.uint8)
    labels = torch.arange(count) % 2
    source = InMemory(images, labels, recipe, mean=[0.5] * 3, std=[0.5] * 3)
    model = build(network, num_classes=2, seed=0)
    return [epoch.micro_batch for epoch in train(model, source, recipe, seed=0)]

epochs(8)  # what is loaded at the first use does not count
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 250 * 2**20, resource.RLIM_INFINITY))
print(json.dumps(epochs(512)))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_batch_too_large_for_the_memory_of_a_cpu_is_halved() -> None:
    """A process that may not take more memory trains on in parts, as on a GPU."""
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (micro_batch,) = json.loads(done.stdout)
    assert micro_batch in (16, 32, 64, 128, 256)
    assert "out of memory: epoch 1 restarts" in done.stderr


def trial(folder: Path, candidate: dict[str, Any], **data: int) -> TrialPlan:
    """Return the plan of a trial of one epoch."""
    recipe = recipe_from({"epochs": 1, "batch_size": 2})
    images = Spectral(classes=2, train_images=4, evaluation_images=2, **data)
    return TrialPlan(
        key="k",
        arm=Arm(candidate=candidate_from(candidate), recipe=recipe),
        params={},
        seed=0,
        data=images,
        data_identity=load(images).identity,
        bands=Bands(radii=(4.0,)),
        device="cpu",
        threads=1,
        study_dir=str(folder),
    )


def ended(plan: Any) -> dict[str, Any]:
    """Run a plan to its end; return its record."""
    work = runner.run(plan)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return dict(end.value.to_json())


def test_a_network_too_large_for_the_memory_of_a_cpu_is_oom(tmp_path: Path) -> None:
    """It is a shortage of memory, which another machine or hour may not have."""
    record = ended(trial(tmp_path, {"widths": [8, 3_000_000], "depths": [1, 1]}))
    assert (record["state"], record["failure"]) == ("FAILED", "oom"), record["error"]


def test_what_is_a_shortage() -> None:
    """Allocations that no machine can make are, of tensors and of Python; other errors are not."""
    for size in (2**45, 2**60):
        with pytest.raises(RuntimeError) as caught:
            torch.empty(size, 4)
        assert is_shortage(caught.value), caught.value
    assert is_shortage(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2) @ torch.zeros(3)
    assert not is_shortage(caught.value)


def test_weights_that_layers_share_are_kept(tmp_path: Path) -> None:
    """A network of tied weights is kept whole, and its file loads as any other does."""
    trained, other = tied(0), tied(1)
    _keep(tmp_path, "k", trained, {})
    load_checkpoint(other, weights(tmp_path, "k"))
    assert other.first.weight is other.second.weight
    assert all(torch.equal(other.state_dict()[n], t) for n, t in trained.state_dict().items())


def tied(seed: int) -> Any:
    """Return two layers of one weight, of which the second is a view that is not contiguous."""
    torch.manual_seed(seed)
    network: Any = nn.Module()
    network.first, network.second = nn.Linear(3, 3), nn.Linear(3, 3)
    network.second.weight = network.first.weight
    network.register_buffer("turned", network.first.weight.detach().t())
    return network
