"""How well a cleaning found the noise, where the truth is known: precision, recall, and what noise is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebench.cleaning.decisions import DECISIONS, RELABELLED, Decisions
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED, OPEN


@dataclass(frozen=True)
class Quality:
    """Decisions judged by the truth that a manifest tells. Shares are NaN where of nothing.

    Attributes:
        numbers: How many images were kept, dropped, relabelled, spared.
        unjudged: How many had no score, and so were kept.
        is_known: Whether the manifest tells of any noise; if not, all but these numbers means nothing.
        noise_before: Share of noisy images in the manifest.
        noise_after: Share of noisy images in what remains, by their new labels.
        precision: Share of the dropped and relabelled images that were noisy.
        recall: Share of the noisy images that were dropped or relabelled.
        recall_closed: Of those with closed-set noise.
        recall_open: Of those with open-set noise.
        clean_lost: Share of the clean images that were dropped or relabelled.
        to_true: Share of the relabelled images that now bear the label of their true class.
    """

    numbers: dict[str, int]
    unjudged: int
    is_known: bool
    noise_before: float
    noise_after: float
    precision: float
    recall: float
    recall_closed: float
    recall_open: float
    clean_lost: float
    to_true: float

    @classmethod
    def of(cls, manifest: Manifest, decisions: Decisions) -> Quality:
        """Judge decisions on the rows of a manifest."""
        kind, changed, stays = manifest.kind, decisions.changed, decisions.stays
        noisy, relabelled = kind != CLEAN, decisions.decision == RELABELLED
        right_label = (kind != OPEN) & (decisions.new_label == manifest.true_label)
        return cls(
            numbers={name: int(np.sum(decisions.decision == code)) for code, name in enumerate(DECISIONS)},
            unjudged=int(np.sum(~np.isfinite(decisions.score))),
            is_known=bool(noisy.any()),
            noise_before=_share(noisy.sum(), len(noisy)),
            noise_after=_share((stays & ~right_label).sum(), stays.sum()),
            precision=_share((changed & noisy).sum(), changed.sum()),
            recall=_share((changed & noisy).sum(), noisy.sum()),
            recall_closed=_share((changed & (kind == CLOSED)).sum(), (kind == CLOSED).sum()),
            recall_open=_share((changed & (kind == OPEN)).sum(), (kind == OPEN).sum()),
            clean_lost=_share((changed & ~noisy).sum(), (~noisy).sum()),
            to_true=_share((relabelled & right_label).sum(), relabelled.sum()),
        )

    def __str__(self) -> str:
        numbers = [f"{number} {name}" for name, number in self.numbers.items() if number]
        unjudged = f" ({self.unjudged} not judged: the log lacks them)" if self.unjudged else ""
        lines = [f"{sum(self.numbers.values())} images: {', '.join(numbers)}{unjudged}"]
        if not self.is_known:
            return f"{lines[0]}\nthe manifest tells of no noise: precision and recall are not defined"
        lines.append(
            f"noise: precision {_percent(self.precision)}, recall {_percent(self.recall)}"
            f" (closed-set {_percent(self.recall_closed)}, open-set {_percent(self.recall_open)}),"
            f" clean images lost {_percent(self.clean_lost)}"
        )
        if self.numbers["relabelled"]:
            lines.append(f"relabelled to the true class: {_percent(self.to_true)}")
        lines.append(f"noise rate: {_percent(self.noise_before)} before, {_percent(self.noise_after)} after")
        return "\n".join(lines)


def _share(part: np.integer, whole: int | np.integer) -> float:
    return float(part / whole) if whole else float("nan")


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.2f} %"
