"""The few lines that say what the analysis of a run found."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from noisebench.analysis.whole_run import Analysis


def summary_text(analysis: Analysis) -> str:
    """What was found, for a terminal: a heading, the last epoch of each analysis, then the notes."""
    record, epochs = analysis.run.record, analysis.log.epochs
    last = f"epoch {epochs[-1]}, the last of {len(epochs)} logged"
    heading = f"{record.method} under {record.noise}, seed {record.seed}: {last}"
    notes = [f"note: {note}" for note in analysis.notes]
    return "\n".join([heading, *_lines(analysis), *notes])


def _lines(analysis: Analysis) -> Iterator[str]:
    tables = analysis.tables
    detection = _last(tables["detection"])
    for row in detection[detection["noise"] == "all"].dropna(subset="auc").to_dict("records"):
        yield (
            f"detection by {row['score']:<10}  AUC {row['auc']:.4f}  average precision {row['average_precision']:.4f}"
            f"  best F1 {row['best_f1']:.4f} at {row['threshold']:.4g}"
        )
    for row in _last(tables["noise_rate"]).to_dict("records"):
        estimates = f"{_percent(row['twice_left'])} by the left top, {_percent(row['below_valley'])} by the valley"
        yield f"noise rate  {_percent(row['true_rate'])}; estimated {estimates}"
    for row in _last(tables["memorisation"]).to_dict("records"):
        shares = f"label {_percent(row['to_label'])}, true class {_percent(row['to_true'])}"
        yield f"fitted to, {row['kind']:<6}  {shares}, other {_percent(row['to_other'])}"
    for row in _last(tables["corrections"]).query("corrected > 0").to_dict("records"):
        yield (
            f"corrections  {row['corrected']}: precision {_percent(row['precision'])}, "
            f"recall {_percent(row['recall'])}; of closed-set noise {_percent(row['corrected_to_true'])} "
            f"to the true class, {_percent(row['corrected_to_wrong'])} to a wrong one; "
            f"clean harmed {_percent(row['clean_harmed'])}"
        )
    for name, value in analysis.facts.items():
        yield f"{name.replace('_', ' ')}  {value:.4f}"


def _last(table: pd.DataFrame) -> pd.DataFrame:
    last: pd.DataFrame = table[table["epoch"] == table["epoch"].max()]
    return last


def _percent(share: float) -> str:
    return "none" if pd.isna(share) else f"{100 * share:.2f} %"
