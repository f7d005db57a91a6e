"""Looks for the best combination of values: optuna, and from its best a walk uphill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import MissingPackage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.training.tuning.trials import Choice

# Of the trials this share, but at least as many as said, is spread at random first.
_RANDOM_SHARE, _RANDOM_AT_LEAST = 0.2, 10


def load_optuna() -> Any:
    """The package optuna.

    Raises
    ------
    MissingPackage
        When it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage(
            "thresholds are searched for with optuna, which is not installed; install it with "
            'pip install "napari-sartorius[all]"'
        ) from error
    return optuna


def search(
    score: Callable[[Choice], float],
    grid: Mapping[str, Sequence[float]],
    start: Choice,
    trials: int,
    seed: int,
    monitor: Monitor,
) -> tuple[Choice, float]:
    """Find the choice of the largest score.

    optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes; then neighbours of
    the best are tried until none is better.

    Parameters
    ----------
    score
        Of a choice; called for every trial.
    grid
        Values by name, ascending.
    start
        Tried first; it stays unless something is better. Its values need not be in the grid.
    trials
        How many choices optuna proposes; neighbours of the best are tried besides.
    seed
        The same seed finds the same.
    monitor
        May cancel between trials.

    Returns
    -------
    choice : tuple of float
        One value per name of the grid.
    score : float
        What it gives.
    """
    optuna = load_optuna()
    ladders = [sorted({*values, own}) for values, own in zip(grid.values(), start, strict=True)]
    known: dict[tuple[int, ...], float] = {}

    def value(place: tuple[int, ...]) -> float:
        monitor.check()
        if place not in known:
            known[place] = score(_at(ladders, place))
        return known[place]

    first = tuple(ladder.index(own) for ladder, own in zip(ladders, start, strict=True))
    best = first, value(first)
    random = max(_RANDOM_AT_LEAST, round(_RANDOM_SHARE * trials))
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=random)
    study = _quiet_study(optuna, sampler)
    study.enqueue_trial(dict(zip(grid, first, strict=True)))
    for _ in range(trials):
        trial = study.ask()
        place = tuple(
            trial.suggest_int(name, 0, len(ladder) - 1)
            for name, ladder in zip(grid, ladders, strict=True)
        )
        found = value(place)
        study.tell(trial, found)
        if found > best[1]:
            best = place, found
    best = _uphill(value, ladders, best)
    return _at(ladders, best[0]), best[1]


def _at(ladders: Sequence[Sequence[float]], place: tuple[int, ...]) -> Choice:
    return tuple(ladder[step] for ladder, step in zip(ladders, place, strict=True))


def _quiet_study(optuna: Any, sampler: Any) -> Any:
    """A study whose making is not told on the terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(before)


def _uphill(
    value: Callable[[tuple[int, ...]], float],
    ladders: Sequence[Sequence[float]],
    best: tuple[tuple[int, ...], float],
) -> tuple[tuple[int, ...], float]:
    """Go to the best neighbour, one step along one ladder, until none is better."""
    while True:
        place, found = best
        for axis, ladder in enumerate(ladders):
            for step in (place[axis] - 1, place[axis] + 1):
                if 0 <= step < len(ladder):
                    beside = (*place[:axis], step, *place[axis + 1 :])
                    if value(beside) > best[1]:
                        best = beside, value(beside)
        if best[1] <= found:
            return best
