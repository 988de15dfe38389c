"""The samplers of `tpe` and `nsga2`: Optuna's, on a study rebuilt in memory for every batch.

Optuna stores nothing: a batch depends only on the space, the seed, and earlier proposals and
outcomes, so a search that is killed and replayed proposes what it would have proposed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gmsearch.plain import Assignment, Value
from gmsearch.search.proposal import Outcome, Proposal
from gmsearch.seeds import sampler_seed
from gmsearch.space import ArmDrawer, Choice, Domain, Float, Int, Parameter, SeenArms, Space

if TYPE_CHECKING:
    import optuna

TPE_BATCH = 8
"""Proposals per batch of TPE, the same on every machine and engine: a batch that grew with the
number of workers would make results depend on the machine. Within a batch, arms that are still
running repel new proposals."""
POPULATION = 20
"""Default population size of NSGA-II."""

_TRIES = 10
_GENERATION = "NSGAIISampler:generation"
# Copies of the parameters, which Optuna keeps for processes that share a storage.
_TRANSIENT = ("tpe:relative_params", "fixed_params")


class Modelled:
    """Proposes what one of Optuna's samplers suggests, each arm once.

    Where the sampler suggests a forbidden arm or one it has proposed, it is asked again a bounded
    number of times; after that a uniform draw of a new arm is used, at once for the rest of the
    batch too: the sampler learns of no outcome before the next.
    """

    def __init__(
        self,
        space: Space,
        make: Callable[[int], optuna.samplers.BaseSampler],
        batch: Callable[[Sequence[Proposal], Sequence[Outcome]], int],
    ) -> None:
        """Start with no proposals.

        Args:
            space: Space to propose arms of.
            make: Function from a seed to one of Optuna's samplers.
            batch: Function from earlier proposals and outcomes to the size of the next batch.
        """
        self._space = space
        self._make = make
        self._batch = batch
        self._seen = SeenArms(space)
        self._drawer = ArmDrawer(space, self._seen)
        self._asks: list[Proposal] = []
        self._outcomes: dict[int, Outcome] = {}
        self._tries = _TRIES

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return one batch of at most `n` new arms; the first of all is the baseline."""
        size = self._batch(self._asks, list(self._outcomes.values()))
        seed = sampler_seed(self._space.search.seed, len(self._asks))
        study = self._study(seed)
        rng = random.Random(seed)
        asked = len(self._asks)
        self._tries = _TRIES
        for _ in range(size if n is None else min(n, size)):
            proposal = self._propose(study, rng)
            if proposal is None:
                break
            self._asks.append(proposal)
        return self._asks[asked:]

    def tell(self, outcome: Outcome) -> None:
        """Record the outcome of a proposal."""
        self._outcomes[outcome.number] = outcome

    def replay(self, asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> None:
        """Record earlier proposals and outcomes."""
        self._asks.extend(asks)
        for proposal in asks:
            self._seen.admit(proposal.assignment)
        for outcome in outcomes:
            self.tell(outcome)

    def _study(self, seed: int) -> optuna.Study:
        import optuna

        with _quiet():
            study = optuna.create_study(
                directions=[objective.direction for objective in self._space.objectives],
                sampler=self._make(seed),
                pruner=optuna.pruners.NopPruner(),
            )
        study.add_trials([self._frozen(proposal) for proposal in self._asks])
        return study

    def _frozen(self, proposal: Proposal) -> optuna.trial.FrozenTrial:
        import optuna

        params: dict[str, float] = {}
        distributions: dict[str, Any] = {}

        def take(parameter: Parameter) -> Value:
            value = proposal.assignment[parameter.path]
            params[parameter.path] = encode(parameter.domain, value)
            distributions[parameter.path] = distribution(parameter.domain)
            return value

        self._space.draw(take)
        states = optuna.trial.TrialState
        outcome = self._outcomes.get(proposal.number)
        state = {
            "complete": states.COMPLETE,
            "pruned": states.PRUNED,
            # NSGA-II ignores all but complete trials; TPE learns from these as well.
            "infeasible": states.PRUNED,
            "failed": states.FAIL,
        }
        return optuna.create_trial(
            state=states.RUNNING if outcome is None else state[outcome.state],
            values=None if outcome is None else outcome.values,
            params=params,
            distributions=distributions,
            system_attrs=dict(proposal.attributes),
            constraints=None
            if outcome is None
            else {str(i): value for i, value in enumerate(outcome.violations)},
        )

    def _propose(self, study: optuna.Study, rng: random.Random) -> Proposal | None:
        baseline = self._space.baseline
        if not self._asks and baseline is not None:
            self._seen.admit(baseline)
            return self._ask(study, baseline)
        for _ in range(self._tries):
            proposal = self._ask(study)
            if self._seen.admit(proposal.assignment):
                return proposal
            # It stays running in this study, so that the next suggestion avoids it.
        self._tries = 0
        fallback = self._drawer.draw(rng)
        return None if fallback is None else self._ask(study, fallback)

    def _ask(self, study: optuna.Study, given: Assignment | None = None) -> Proposal:
        """Ask Optuna for an arm, or record `given` as its suggestion."""
        if given is not None:
            domains = {parameter.path: parameter.domain for parameter in self._space.parameters}
            study.enqueue_trial({path: encode(domains[path], given[path]) for path in given})
        trial = study.ask()
        # Reading this makes NSGA-II set the generation, even where every value is given.
        _ = trial.relative_params
        assignment = self._space.draw(functools.partial(suggest, trial))
        attributes = study.get_trials(deepcopy=False)[trial.number].system_attrs
        return Proposal(
            number=len(self._asks),
            assignment=assignment,
            attributes={k: v for k, v in attributes.items() if not k.startswith(_TRANSIENT)},
        )


def tpe(space: Space) -> Modelled:
    """Return multivariate TPE, group-decomposed for conditional parameters, in batches of 8."""

    def make(seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.TPESampler(
            n_startup_trials=10,
            n_ei_candidates=24,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )

    return Modelled(space, make, lambda _asks, _outcomes: TPE_BATCH)


def nsga2(space: Space) -> Modelled:
    """Return NSGA-II; a batch fills up the current generation.

    A generation is full when `population` of its trials are complete. A parameter that not every
    trial has is not inherited but drawn again.
    """
    population = space.search.population or POPULATION

    def make(seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.NSGAIISampler(
            population_size=population,
            crossover=optuna.samplers.nsgaii.UniformCrossover(swapping_prob=0.5),
            crossover_prob=0.9,
            swapping_prob=0.5,
            mutation_prob=None,
            seed=seed,
        )

    def lacking(asks: Sequence[Proposal], outcomes: Sequence[Outcome]) -> int:
        complete = {outcome.number for outcome in outcomes if outcome.state == "complete"}
        generations = [a.attributes[_GENERATION] for a in asks if a.number in complete]
        filled = generations.count(max(generations, default=0))
        return population - filled if filled < population else population

    return Modelled(space, make, lacking)


def distribution(domain: Domain) -> optuna.distributions.BaseDistribution:
    """Return Optuna's distribution of a domain: options and steps by index, ranges unchanged."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(domain, Choice):
        return CategoricalDistribution(tuple(range(len(domain.options))))
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, step=domain.step, log=domain.log)
    if domain.steps is not None:
        return IntDistribution(0, domain.steps - 1)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def encode(domain: Domain, value: Value) -> float:
    """Return Optuna's encoding of a value: its index, or the number itself."""
    if isinstance(domain, Choice):
        # By identity: to `==`, and so to Optuna, true and 1 are the same option.
        taken = domain.member(value)
        return [option is taken for option in domain.options].index(True)
    member = domain.member(value)
    points = domain.values() if isinstance(domain, Float) else None
    return member if points is None else points.index(member)


def suggest(trial: optuna.Trial, parameter: Parameter) -> Value:
    """Return the value that Optuna suggests, from the distribution of the domain."""
    name, domain = parameter.path, parameter.domain
    if isinstance(domain, Choice):
        return domain.options[trial.suggest_categorical(name, range(len(domain.options)))]
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
    points = domain.values()
    if points is None:
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    return points[trial.suggest_int(name, 0, len(points) - 1)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's greeting and its warning about `group`; restore everything afterwards."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            from optuna.exceptions import ExperimentalWarning

            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)
