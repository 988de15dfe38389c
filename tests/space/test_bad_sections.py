"""Mistakes in the sections without parameters: data, bands, metrics, search, resources."""

from __future__ import annotations

from collections.abc import Callable

import pytest

TOP1 = "{top1: maximize}"
METHOD = "method: grid"

ROWS: dict[str, tuple[str, tuple[str, str]]] = {
    "unknown data set": (
        (
            "data: 'imagenet' is not a data set; there are: spectral, parquet, folder, cifar10, "
            "cifar100, timm"
        ),
        ("spectral", "»imagenet"),
    ),
    "data without a name": (
        "data: name is missing; there are: spectral, parquet, folder, cifar10, cifar100, timm",
        ("data: {name: spectral, ", "»data: {"),
    ),
    "data without a root": (
        "data: root is missing; add `root: FOLDER`, or give --data-root or GMSEARCH_DATA",
        ("data: {name: spectral", "»data: {name: parquet"),
    ),
    "root that is a number": (
        "data.root: 3 is not the path of a folder or none; put it in quotes",
        ("name: spectral", "name: folder, root: »3"),
    ),
    "root of a generated set": (
        (
            "data: unknown key 'root'; there are: name, holdout, resolution, classes, "
            "train_images, evaluation_images, high_share, seed"
        ),
        ("name: spectral", "name: spectral, »root: images"),
    ),
    "one class": (
        "data.classes: 1 is not an integer from 2",
        ("resolution: 32", "classes: »1"),
    ),
    "fewer images than classes": (
        "data.train_images: 5 are fewer than the 10 classes; give more",
        ("resolution: 32", "train_images: »5"),
    ),
    "holdout of everything": (
        "data.holdout: 1 is not a number from 0 below 1",
        ("resolution: 32", "holdout: »1"),
    ),
    "radius beyond the image": (
        (
            "bands.radii: 23 is beyond the image, whose farthest bin lies at 22.63; give a "
            "smaller "
            "one"
        ),
        ("", "bands: {radii: [4, »23]}\n"),
    ),
    "radius beyond a CIFAR image": (
        (
            "bands.radii: 23 is beyond the image, whose farthest bin lies at 22.63; give a "
            "smaller "
            "one"
        ),
        ("{name: spectral, resolution: 32}", "{name: cifar10, root: x}\nbands: {radii: [»23]}"),
    ),
    "radius of nothing": (
        "bands.radii: 0 is not a number above 0",
        ("", "bands: {radii: [4, »0]}\n"),
    ),
    "radius given twice": (
        "bands.radii: 4 is there twice; remove one",
        ("", "bands: {radii: [4, 8, »4.0]}\n"),
    ),
    "one radius without brackets": (
        "bands.radii: 4 is not a list, each a number above 0",
        ("", "bands: {radii: »4}\n"),
    ),
    "range upside down": (
        "bands.ranges: [10, 4] is empty; give the lower end first",
        ("", "bands: {ranges: [»[10, 4]]}\n"),
    ),
    "range of three": (
        "bands.ranges: [1, 2, 3] is not a list [a number from 0, a number above 0]",
        ("", "bands: {ranges: [»[1, 2, 3]]}\n"),
    ),
    "misspelt protocol": (
        (
            "bands.dc: 'dataset-mean' is not one of dataset_mean, drop, image_mean; did you mean "
            "'dataset_mean'?"
        ),
        ("", "bands: {dc: »dataset-mean}\n"),
    ),
    "unknown metric": (
        "objectives: 'top_1' is not a metric; did you mean 'top1'?",
        (TOP1, "{»top_1: maximize}"),
    ),
    "timed metric otherwise than its name is spelt": (
        "objectives: 'latency_ms@b1.eager' is written 'latency_ms'; write it so",
        (TOP1, "{»latency_ms@b1.eager: minimize}"),
    ),
    "timed metric under no condition there is": (
        (
            "objectives: 'latency_ms@64' is not measured; behind the @ stand b and the batch "
            "size, then .compiled or .graph, then .bfloat16, as far as wanted: @b64.compiled"
        ),
        (TOP1, "{»latency_ms@64: minimize}"),
    ),
    "band metric without its radius": (
        "objectives: 'high@10' is not measured; add 10 to `bands.radii`",
        (TOP1, "{»high@10: maximize}"),
    ),
    "band metric in another spelling": (
        "objectives: 'high@4.0' is not measured; write it 'high@4'",
        (TOP1, "{»high@4.0: maximize}\nbands: {radii: [4]}"),
    ),
    "band metric without its range": (
        "objectives: 'band@4:10' is not measured; add [4, 10] to `bands.ranges`",
        (TOP1, "{»band@4:10: maximize}"),
    ),
    "misspelt direction": (
        "objectives.top1: 'maximise' is not maximize or minimize; did you mean 'maximize'?",
        (TOP1, "{top1: »maximise}"),
    ),
    "no objective": (
        "objectives: names no metric; write {METRIC: maximize} or {METRIC: minimize}",
        ("objectives: {top1: maximize}", "»objectives: {}"),
    ),
    "constraint on an unknown metric": (
        "constraints: 'flop' is not a metric; did you mean 'flops'?",
        ("", "constraints: {»flop: {max: 6e6}}\n"),
    ),
    "constraint that is a number": (
        "constraints.flops: 6000000.0 is not a mapping of `key: value`",
        ("", "constraints: {flops: »6e6}\n"),
    ),
    "constraint that binds nothing": (
        "constraints.flops: has no bound; give `min`, `max` or both",
        ("", "constraints: {»flops: {}}\n"),
    ),
    "constraint that nothing fulfils": (
        "constraints.flops: min 2e+06 is above max 1e+06; swap them",
        ("", "constraints: {flops: »{min: 2e6, max: 1e6}}\n"),
    ),
    "expression in a constraint": (
        (
            "constraints.flops.max: '2 * params' is not a number or a multiple such as "
            "`1.2 x baseline` or none"
        ),
        ("", "constraints: {flops: {max: »2 * params}}\n"),
    ),
    "multiple of no baseline": (
        (
            "constraints.flops.max: there is no baseline; add `baseline: {PATH: VALUE, "
            "…}`, or give a "
            "number"
        ),
        ("", "constraints: {flops: {max: »1.2 x baseline}}\n"),
    ),
    "unknown method": (
        "search.method: 'bayes' is not one of grid, ablation, random, tpe, nsga2",
        (METHOD, "method: »bayes"),
    ),
    "ablation without a baseline": (
        "search.method: ablation starts from a baseline; add `baseline: {PATH: VALUE, …}`",
        (METHOD, "method: »ablation"),
    ),
    "search without a number of candidates": (
        "search: tpe needs `candidates: N`, the number of arms to train",
        ("search: {method: grid", "»search: {method: tpe"),
    ),
    "candidates of a grid": (
        "search: candidates is of no use to grid, only to random, tpe, nsga2; remove it",
        (METHOD, "method: grid, »candidates: 3"),
    ),
    "population of another method": (
        "search: population is of no use to random, only to nsga2; remove it",
        (METHOD, "method: random, candidates: 3, »population: 8"),
    ),
    "seed given twice": (
        "search.seeds: 1 is there twice; remove one",
        ("seeds: 3", "seeds: [0, 1, »1]"),
    ),
    "no seed": (
        (
            "search.seeds: [] is not an integer from 1 to 1000 or a list of at least 1, each an "
            "integer from 0 to 4294967295"
        ),
        ("seeds: 3", "seeds: »[]"),
    ),
    "negative seed": (
        "search.seeds: -1 is not an integer from 0 to 4294967295",
        ("seeds: 3", "seeds: [0, »-1]"),
    ),
    "share of failed trials as a fraction": (
        "search.max_failed: 0.2 is not an integer from 0 or a share such as 20% or none",
        (METHOD, "method: grid, max_failed: »0.2"),
    ),
    "selection without a holdout": (
        (
            "data.holdout: random chooses by the holdout, never by the evaluation split; "
            "give a share "
            "above 0, such as 0.1"
        ),
        (
            "resolution: 32}\nobjectives: {top1: maximize}\nsearch: {method: grid, ",
            "holdout: »0}\nobjectives: {top1: maximize}\nsearch: {method: random, candidates: 3, ",
        ),
    ),
    "curves without a holdout": (
        (
            "data.holdout: 0 leaves no images for the curves of every epoch; raise it, or set "
            "`bands: {every: 0}` or `bands: {curves: evaluation}`"
        ),
        ("resolution: 32", "holdout: »0.0"),
    ),
    "no core": (
        "resources.cpus: 0 is not an integer from 1",
        ("", "resources: {cpus: »0}\n"),
    ),
    "fraction of a core": (
        "resources.cpus: 0.5 is not an integer from 1",
        ("", "resources: {cpus: »0.5}\n"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_mistake_is_told_once_at_its_place(
    name: str, told: Callable[..., list[str]], marked: Callable[..., list[str]]
) -> None:
    """A file with one mistake gives one line, with its place, what is wrong and what is right."""
    message, edit = ROWS[name]

    (place,) = marked(edit)

    assert told(edit) == [f"{place}: {message}"]
