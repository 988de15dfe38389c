"""What a space file can say, and what it then means."""

from __future__ import annotations

from collections.abc import Callable

from gmsearch.experiment import Bound, Constraint, Objective, Spectral
from gmsearch.networks import Gate, GmNetSpec, ResNet18Spec, TimmSpec
from gmsearch.space import Choice, Float, Int, Space

Load = Callable[..., Space]
GATE = """\
  gate:
    product: {choice: [none, self]}
    activation: {choice: [relu, relu6, gelu]}
    placement: expand
    stages: all
"""


def test_the_example_of_the_documentation(load: Load, example: str) -> None:
    """The example loads as written, and every part of it arrives."""
    space = load(text=example)

    assert space.study == "gate_ablation"
    assert [p.path for p in space.parameters] == ["gate.product", "gate.activation"]
    assert space.parameters[0].domain == Choice(options=("none", "self"))
    assert space.baseline == {"gate.product": "none", "gate.activation": "relu6"}
    assert space.forbid == ({"gate.product": "none", "gate.activation": "identity"},)
    assert space.data == Spectral(resolution=32)
    assert space.bands.radii == (4, 8, 10)
    assert [o.metric for o in space.objectives] == ["top1", "high@10", "flops", "latency_ms"]
    assert space.objectives[2] == Objective(metric="flops", direction="minimize")
    assert space.constraints == (
        Constraint(metric="flops", maximum=Bound(value=6e6)),
        Constraint(metric="latency_ms", maximum=Bound(value=1.2, of_baseline=True)),
    )
    assert space.search.seeds == (0, 1, 2)
    assert (space.resources.cpus, space.resources.gpus) == (1, 0)
    assert space.count() == 7
    assert space.source == example


def test_the_arm_of_an_assignment(load: Load, example: str) -> None:
    """The values of an assignment stand in the network and the recipe of its arm."""
    arm = load(text=example).arm({"gate.product": "self", "gate.activation": "gelu"})

    assert isinstance(arm.candidate, GmNetSpec)
    assert arm.candidate.gate == Gate(product="self", activation="gelu", placement=("expand",))
    assert arm.candidate.widths == (16, 32, 64)
    assert arm.candidate.kernel_size == (5, 5, 5)
    assert (arm.recipe.epochs, arm.recipe.lr) == (8, 0.003)


def test_numbers_and_words_are_those_of_yaml_1_2(load: Load) -> None:
    """`3e-3` is a number, `off` and `no` are words, `none` stands for no value where one may."""
    space = load(("epochs: 8", "epochs: 8, clip_grad: none"), ("bare", "off"))

    recipe = space.arm({"gate.product": "none", "gate.activation": "relu"}).recipe
    assert (space.study, recipe.lr, recipe.clip_grad) == ("off", 3e-3, None)


def test_anchors_and_aliases(load: Load) -> None:
    """A value may be written once and used again by an alias."""
    space = load(
        (GATE, ""),
        (
            "model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n",
            (
                "model:\n  choice:\n"
                "    small: {widths: [8], depths: &one [1], kernel_size: &three 3}\n"
                "    wide: {widths: [32], depths: *one, kernel_size: *three}\n"
            ),
        ),
    )

    widths = [(arm.candidate.widths, arm.candidate.kernel_size) for _, arm in space.arms()]  # type: ignore[union-attr]
    assert widths == [((8,), (3,)), ((32,), (3,))]


def test_domains_of_every_kind(load: Load) -> None:
    """Integers step, floats lie evenly or evenly in the logarithm, ends included."""
    space = load(
        ("kernel_size: 5", "kernel_size: {int: [3, 7], step: 2}"),
        ("epochs: 8", "epochs: {int: [1, 4], log: true}"),
        (
            "lr: 3e-3",
            (
                "lr: {float: [1e-3, 1e-1], log: true, steps: 3}, "
                "weight_decay: {float: [0, 0.3], steps: 4}"
            ),
        ),
    )

    domains = {p.path: p.domain for p in space.parameters}
    assert domains["kernel_size"] == Int(low=3, high=7, step=2)
    assert list(domains["kernel_size"].values() or ()) == [3, 5, 7]
    assert list(domains["train.epochs"].values() or ()) == [1, 2, 3, 4]
    assert domains["train.lr"] == Float(low=1e-3, high=1e-1, log=True, steps=3)
    assert list(domains["train.lr"].values() or ()) == [0.001, 0.01, 0.1]
    assert list(domains["train.weight_decay"].values() or ()) == [0, 0.1, 0.2, 0.3]


def test_elements_of_lists_are_parameters(load: Load) -> None:
    """A domain may stand in a list; it is named by its index."""
    space = load(
        ("[16, 32, 64]", "[16, {choice: [24, 32]}, 64]"),
        ("", "baseline: {model.widths.1: 24, gate.product: none, gate.activation: relu}\n"),
    )

    assert space.parameters[0].path == "widths.1"
    assert space.baseline is not None
    assert space.arm(space.baseline).candidate.widths == (16, 24, 64)  # type: ignore[union-attr]


def test_labels_stand_for_subtrees(load: Load) -> None:
    """A label brings its subtree; the parameters in it exist only where it is taken."""
    space = load(
        (
            GATE,
            (
                "  gate:\n    choice:\n      plain: {product: none, activation: relu}\n"
                "      gated: {product: self, activation: {choice: [relu6, gelu]}}\n"
            ),
        ),
        ("", "baseline: {gate: gated, gate.gated.activation: gelu}\n"),
        ("", "forbid: [{gate: gated, gate.gated.activation: relu6}]\n"),
    )

    assert list(space.assignments()) == [
        {"gate": "plain"},
        {"gate": "gated", "gate.gated.activation": "relu6"},
        {"gate": "gated", "gate.gated.activation": "gelu"},
    ]
    assert space.count() == 2
    gates = [arm.candidate.gate for _, arm in space.arms()]  # type: ignore[union-attr]
    assert [(g.product, g.activation) for g in gates] == [("none", "relu"), ("self", "gelu")]


def test_labels_stand_for_values(load: Load) -> None:
    """A label may stand for a value, or for a domain of its own."""
    space = load(
        (GATE, ""),
        ("lr: 3e-3", "lr: {choice: {usual: 3e-3, searched: {choice: [1e-3, 1e-2]}}}"),
    )

    assert [arm.recipe.lr for _, arm in space.arms()] == [0.003, 0.001, 0.01]
    assert [space.label(a) for a in space.assignments()] == [
        "lr=usual",
        "lr=searched searched=0.001",
        "lr=searched searched=0.01",
    ]


def test_families_side_by_side(load: Load) -> None:
    """A model of timm is a candidate beside ours, under a label of the whole model."""
    space = load(
        ("model:\n  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n" + GATE, ""),
        (
            "",
            (
                "model:\n  choice:\n"
                "    ours: {widths: [8], depths: [1], gate: {product: {choice: [none, dw]}}}\n"
                "    theirs: {family: timm, name: {choice: [resnet10t, mobilenetv3_small_100]}}\n"
            ),
        ),
        ("", "baseline: {model: ours, ours.gate.product: none}\n"),
    )

    families = [type(arm.candidate) for _, arm in space.arms()]
    assert families == [GmNetSpec, GmNetSpec, TimmSpec, TimmSpec]
    assert space.baseline == {"model": "ours", "ours.gate.product": "none"}


def test_a_preset_with_changes(load: Load) -> None:
    """A preset may be a domain; what stands beside it goes before its values."""
    space = load(
        (
            "  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n" + GATE,
            "  preset: {choice: [gmnet_s1, gmnet_s3]}\n  depths: [1, 1, 1, 1]\n",
        ),
    )

    models = [arm.candidate for _, arm in space.arms()]
    assert [m.widths[0] for m in models] == [40, 48]  # type: ignore[union-attr]
    assert {m.depths for m in models} == {(1, 1, 1, 1)}  # type: ignore[union-attr]


def test_a_preset_names_its_family(load: Load) -> None:
    """A preset brings its family; fields of its gate that are not given stay the preset's."""
    space = load(
        (
            "  widths: [16, 32, 64]\n  depths: [1, 2, 1]\n  kernel_size: 5\n" + GATE,
            (
                "  preset: {choice: [res18, res18_gate_gelu]}\n  stem: cifar\n"
                "  gate: {placement: {choice: [inner, both]}}\n"
            ),
        ),
    )

    models = [arm.candidate for _, arm in space.arms()]
    assert [type(m) for m in models] == [ResNet18Spec] * 3
    assert [(m.gate.product, m.gate.activation, m.gate.placement) for m in models] == [
        ("none", "relu", ("inner",)),  # its placement makes no difference
        ("self", "gelu", ("inner",)),
        ("self", "gelu", ("inner", "outer")),
    ]


def test_conditions_are_anded_and_else_stands_elsewhere(load: Load) -> None:
    """A parameter exists where all of its conditions hold; elsewhere its leaf takes `else`."""
    space = load(
        (
            "placement: expand",
            (
                "placement: {choice: [input, output], else: expand, "
                "when: {gate.product: self, gate.activation: [relu, gelu]}}"
            ),
        ),
    )

    placed = {space.label(a): arm.candidate.gate.placement for a, arm in space.arms()}  # type: ignore[union-attr]
    assert placed == {
        "product=none activation=relu": ("expand",),
        "product=none activation=relu6": ("expand",),
        "product=none activation=gelu": ("expand",),
        "product=self activation=relu placement=input": ("input",),
        "product=self activation=relu placement=output": ("output",),
        "product=self activation=relu6": ("expand",),
        "product=self activation=gelu placement=input": ("input",),
        "product=self activation=gelu placement=output": ("output",),
    }


def test_a_condition_may_name_what_stands_below_it(load: Load) -> None:
    """Parameters are drawn after those they depend on, and shown in the order of the file."""
    space = load(
        ("kernel_size: 5", "kernel_size: {choice: [3, 5], when: {gate.product: self}, else: 7}")
    )
    asked: list[str] = []

    def first(parameter: object) -> object:
        asked.append(parameter.path)  # type: ignore[attr-defined]
        return "self" if len(asked) == 1 else parameter.domain.values()[0]  # type: ignore[attr-defined]

    assignment = space.draw(first)  # type: ignore[arg-type]

    assert asked == ["gate.product", "kernel_size", "gate.activation"]
    assert list(assignment) == ["kernel_size", "gate.product", "gate.activation"]


def test_recipes_by_label(load: Load) -> None:
    """A whole section may be a choice of subtrees, and a condition may ask for its label."""
    space = load(
        (
            "train: {epochs: 8, lr: 3e-3}",
            (
                "train:\n  choice:\n    short: {epochs: 2, lr: {choice: [1e-3, 3e-3]}}\n"
                "    long: {epochs: 20}"
            ),
        ),
        ("kernel_size: 5", "kernel_size: {choice: [3, 5], when: {train: long}, else: 7}"),
        (GATE, ""),
    )

    assert list(space.assignments()) == [
        {"train": "short", "train.short.lr": 0.001},
        {"train": "short", "train.short.lr": 0.003},
        {"kernel_size": 3, "train": "long"},
        {"kernel_size": 5, "train": "long"},
    ]
    arms = [arm for _, arm in space.arms()]
    assert [arm.recipe.epochs for arm in arms] == [2, 2, 20, 20]
    assert [arm.candidate.kernel_size[0] for arm in arms] == [7, 7, 3, 5]  # type: ignore[union-attr]


def test_else_of_a_choice_of_subtrees(load: Load) -> None:
    """Where a choice of subtrees does not hold, `else` is a subtree of fixed values."""
    space = load(
        ("epochs: 8", "epochs: {choice: [1, 8]}"),
        (
            GATE,
            (
                "  gate:\n    choice: {a: {product: dw, kernel_size: {choice: [3, 5]}}}\n"
                "    when: {train.epochs: 8}\n    else: {product: none, activation: gelu}\n"
            ),
        ),
    )

    gates = [arm.candidate.gate for _, arm in space.arms()]  # type: ignore[union-attr]
    assert [(g.product, g.activation, g.kernel_size) for g in gates] == [
        ("none", "gelu", 3),
        ("dw", "relu6", 3),
        ("dw", "relu6", 5),
    ]
    assert space.count() == 3
