"""Learning rates against values worked out by hand."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from noisebench.training.schedule import Schedule
from noisebench.training.settings import TrainingSettings


def test_poly_falls_to_nothing() -> None:
    schedule = Schedule(kind="poly", learning_rate=0.1, power=2.0)
    rates = [schedule.at(step, steps_per_epoch=5, epochs=2) for step in range(10)]
    assert rates == pytest.approx([0.1, 0.081, 0.064, 0.049, 0.036, 0.025, 0.016, 0.009, 0.004, 0.001])


def test_warmup_rises_evenly_to_the_full_rate_and_the_decay_starts_there() -> None:
    schedule = Schedule(kind="poly", learning_rate=0.4, power=1.0, warmup_epochs=0.75)  # 3 of 4 steps an epoch
    rates = [schedule.at(step, steps_per_epoch=4, epochs=2) for step in range(8)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.32, 0.24, 0.16, 0.08])


def test_step_falls_at_the_start_of_each_milestone() -> None:
    schedule = Schedule(kind="step", learning_rate=0.1, milestones=(1, 3), factor=0.1)
    rates = [schedule.at(step, steps_per_epoch=2, epochs=4) for step in range(8)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kind": "step"}, "needs 'milestones'"),
        ({"kind": "poly", "milestones": [3]}, "belong to a step schedule"),
        ({"kind": "step", "milestones": [4, 2]}, "must rise"),
        ({"kind": "step", "milestones": [2, 2]}, "must rise"),
        ({"learning_rate": 0}, "greater than 0"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Schedule.model_validate(options)


def test_milestones_and_warmup_past_the_end_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"milestones \[12\] lie past the end of 10 epochs"):
        TrainingSettings(epochs=10, batch_size=8, schedule=Schedule(kind="step", milestones=(5, 12)))
    with pytest.raises(ValidationError, match="warmup_epochs"):
        TrainingSettings(epochs=2, batch_size=8, schedule=Schedule(warmup_epochs=2))
