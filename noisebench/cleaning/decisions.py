"""What becomes of every image of a manifest, and the score it was judged by.

An image is kept, dropped or relabelled; or spared: held to be mislabelled, but the best of a class that would be empty.

A file of decisions is Parquet, a row for each row of the manifest that was cleaned:

=============  ==========  =======================================================================================
``row``        int64       row of the manifest that was cleaned
``index``      int64       key of the image's record in the base set
``decision``   dictionary  kept, dropped, relabelled or spared
``label``      int32       the label it had
``new_label``  int32       the label it has now; null for a dropped image
``score``      float32     the higher the noisier, angles in radians; null for an image that was not judged
``round``      int16       in which round of cleaning it was dropped or last relabelled, from 1; 0 if never
=============  ==========  =======================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.cleaning.rules import Action, Verdict
from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.noise.manifest import Manifest

DECISIONS = ("kept", "dropped", "relabelled", "spared")
"""The names of the codes in `Decisions.decision`."""
KEPT, DROPPED, RELABELLED, SPARED = range(4)

_SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "index": pa.int64(),
        "decision": pa.dictionary(pa.int8(), pa.string()),
        "label": pa.int32(),
        "new_label": pa.int32(),
        "score": pa.float32(),
        "round": pa.int16(),
    }
)
_ROWS_PER_GROUP = 1 << 20


@dataclass(frozen=True, eq=False)
class Decisions:
    """What becomes of the rows of a manifest: arrays [N] in its order.

    Attributes:
        decision: Codes into `DECISIONS`, int8.
        new_label: The label it has now, int32; the former one where it was dropped.
        score: The higher the noisier, float32; NaN where it was not judged.
        round: When it was dropped or last relabelled, int16; 0 where it was not.
    """

    decision: NDArray[np.int8]
    new_label: NDArray[np.int32]
    score: NDArray[np.float32]
    round: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.decision)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Whether an image was dropped or relabelled, [N]."""
        return np.asarray((self.decision == DROPPED) | (self.decision == RELABELLED))

    @property
    def stays(self) -> NDArray[np.bool_]:
        """Whether an image is still in the set, [N]."""
        return np.asarray(self.decision != DROPPED)

    @classmethod
    def of(cls, verdict: Verdict, action: Action, manifest: Manifest, number: int) -> Decisions:
        """Decide by a rule's verdict on the rows of a manifest, in the round of this number.

        A class that would be left without any image keeps the best of those it had, by score: class numbers stay, so
        that heads, centres and tables of all rounds can be compared.
        """
        label, flagged = manifest.label, verdict.flagged.copy()
        while True:
            new_label = np.where(flagged, verdict.proposal, label) if action == "relabel" else label
            remains = new_label if action == "relabel" else label[~flagged]
            spared = _best_of_empty_classes(label, flagged, remains, verdict.score, manifest.num_train_classes)
            if not len(spared):
                break
            flagged[spared] = False
        changed = RELABELLED if action == "relabel" else DROPPED
        decision = np.select([flagged, verdict.flagged], [changed, SPARED], KEPT)
        return cls(
            decision=decision.astype(np.int8),
            new_label=new_label,
            score=verdict.score,
            round=np.where(flagged, number, 0).astype(np.int16),
        )

    def then(self, later: Decisions, label: NDArray[np.int32]) -> Decisions:
        """These decisions and those on the images that they left, as one.

        Args:
            later: Of the rows for which `stays` is true.
            label: The labels that the images had at first, [N].
        """
        rows = np.flatnonzero(self.stays)
        decision, new_label = self.decision.copy(), self.new_label.copy()
        score, number = self.score.copy(), self.round.copy()
        judged = np.isfinite(later.score)
        score[rows[judged]] = later.score[judged]
        new_label[rows] = later.new_label
        number[rows] = np.where(later.changed, later.round, number[rows])
        is_relabelled = later.new_label != label[rows]
        is_as_later = (later.decision == DROPPED) | (later.decision == SPARED) & ~is_relabelled
        relabelled = np.where(is_relabelled, RELABELLED, KEPT)
        decision[rows] = np.where(is_as_later, later.decision, relabelled)
        number[(decision == KEPT) | (decision == SPARED)] = 0
        return Decisions(decision, new_label, score, number)

    def write(self, path: Path, manifest: Manifest) -> None:
        """Write them as one Parquet file, whole or not at all.

        Args:
            path: The file.
            manifest: The manifest whose rows they are on.

        Raises:
            FileError: The file cannot be written.
        """
        with whole_file(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
            for start in range(0, len(self), _ROWS_PER_GROUP):
                writer.write_table(self._table(slice(start, start + _ROWS_PER_GROUP), manifest))

    @classmethod
    def read(cls, path: Path, num_rows: int) -> Decisions:
        """Read the decisions on a manifest of so many rows.

        Raises:
            FileError: The file is missing, damaged, or on another number of rows.
        """
        try:
            with pq.ParquetFile(path) as file:
                if file.schema_arrow != _SCHEMA or file.metadata.num_rows != num_rows:
                    raise FileError(path, f"holds no decisions on {num_rows} images", "remove it and clean again")
                table = file.read()
            decision = table["decision"].combine_chunks()
            codes = np.array([DECISIONS.index(name) for name in decision.dictionary.to_pylist()], np.int8)
            indices = decision.indices.to_numpy()
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: another name of a decision
            problem = f"damaged: {' '.join(str(error).split())}"
            raise FileError(path, problem, "remove it and clean again") from error
        dropped = table["new_label"].is_null()
        return cls(
            decision=codes[indices],
            new_label=pc.if_else(dropped, table["label"], table["new_label"]).to_numpy(),
            score=table["score"].to_numpy().astype(np.float32),  # null is NaN
            round=table["round"].to_numpy(),
        )

    def _table(self, part: slice, manifest: Manifest) -> pa.Table:
        decision, score = self.decision[part], self.score[part]
        columns = [
            pa.array(np.arange(len(self))[part]),
            pa.array(manifest.index[part]),
            pa.DictionaryArray.from_arrays(pa.array(decision), pa.array(DECISIONS)),
            pa.array(manifest.label[part]),
            pa.array(self.new_label[part], mask=decision == DROPPED),
            pa.array(score, mask=~np.isfinite(score)),
            pa.array(self.round[part]),
        ]
        return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _best_of_empty_classes(
    label: NDArray[np.int32],
    flagged: NDArray[np.bool_],
    remains: NDArray[np.int32],
    score: NDArray[np.float32],
    num_classes: int,
) -> NDArray[np.int64]:
    """For each class that had images and of which none remains, its flagged row of lowest score."""
    emptied = np.bincount(label, minlength=num_classes) > 0
    emptied &= np.bincount(remains, minlength=num_classes) == 0
    rows = np.flatnonzero(flagged & emptied[label])
    rows = rows[np.lexsort((score[rows], label[rows]))]
    return np.asarray(rows[np.diff(label[rows], prepend=-1) != 0])
