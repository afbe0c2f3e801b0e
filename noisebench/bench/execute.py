"""Run one cell: train, test, record. Started by `noisebench.bench.launch`, in one process or under torchrun.

``python -m noisebench.bench.execute FOLDER`` runs the cell laid down in a run's folder. It leaves with a
`noisebench.exit_codes.ExitCode`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebench import backbones, methods
from noisebench.analysis.drift import CENTRES_FILE
from noisebench.bench.cell import FAILURE_FILE, Cell
from noisebench.bench.provenance import code, environment, plugins_of
from noisebench.bench.record import Epoch, RunRecord, TestMetrics
from noisebench.data.dataset import NoisyFaces
from noisebench.data.loader import Loader
from noisebench.data.sampler import BatchSampler
from noisebench.errors import FileError, UserError
from noisebench.evaluation.test_set import evaluate_test_set, parse
from noisebench.exit_codes import ExitCode
from noisebench.files import whole_file, write_text
from noisebench.formats.data_source import open_data
from noisebench.models import model_file
from noisebench.noise.manifest import Manifest
from noisebench.plugins import PluginCode
from noisebench.training import checkpoint
from noisebench.training.distributed import PeerLost, Process, join
from noisebench.training.stopping import Stopped, StopRequest, stop_on_signals
from noisebench.training.sync_batchnorm import use_global_statistics
from noisebench.training.trainer import Trainer, TrainingFault
from noisebench.training.watchdog import Watchdog

TRACEBACK_FILE = "traceback.txt"


def execute(cell: Cell, process: Process, stop: StopRequest) -> RunRecord:
    """Train and test a cell; the first process leaves the model and the record in its folder.

    Raises:
        Stopped: Asked to stop, or no checkpoint could be saved; a later call goes on.
        PeerLost: Another process is gone; a later call goes on.
        TrainingFault: The training diverged.
        UserError: Some input is at fault.
    """
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    record = cell.record.model_copy(
        update={
            "code": code(_unchanged_plugins(cell)),
            "environment": environment(
                device=_device_name(process.device), world_size=process.world_size, threads=threads
            ),
            "status": "running",
            "started": _now(),
        }
    )
    if process.is_first:
        record.write(cell.folder)
    began = time.perf_counter()
    trainer = build_trainer(cell, process, stop, threads)
    history = trainer.run()
    trained = time.perf_counter()
    with _watchdog(cell, process) as watchdog:
        watchdog.enter("model", trainer.state.step)
        centres = trainer.head.all_centres()
        process.on_first(lambda: _leave_model(cell, trainer, centres))
        watchdog.rest()
        metrics = _test(cell, trainer, process, watchdog)
    if not process.is_first:
        return record
    record = record.model_copy(
        update={
            "status": "done",
            "head_mode": trainer.head.mode_used,
            "compiled": trainer.step.is_compiled,
            "averaged": trainer.step.average is not None,
            "history": [Epoch(**dataclasses.asdict(epoch)) for epoch in history],
            "metrics": metrics,
            "timings": {"train": trained - began, "test": time.perf_counter() - trained},
            "finished": _now(),
        }
    )
    record.write(cell.folder)
    checkpoint.remove_all(cell.folder)
    return record


def build_trainer(cell: Cell, process: Process, stop: StopRequest, threads: int) -> Trainer:
    """Everything a cell trains with, built from its configuration."""
    config, seeds = cell.config, cell.record.seeds
    base = open_data(cell.inputs.data, cell.inputs.reader)
    outliers = open_data(cell.inputs.outliers, cell.inputs.reader) if cell.inputs.outliers else None
    torch.set_num_threads(threads)  # MXNet, where it is the reader, has put torch on one
    faces = NoisyFaces(base, outliers, Manifest.read(cell.inputs.manifest))
    _check_unchanged(cell, faces)
    sampler = BatchSampler(
        num_rows=len(faces),
        batch_size=config.training.batch_size,
        seed=seeds["order"],
        rank=process.rank,
        world_size=process.world_size,
        parts=config.training.accumulate,
    )
    backbone = backbones.create(
        config.backbone.name,
        embedding_size=config.backbone.embedding_size,
        image_size=base.image_size,
        seed=seeds["backbone"],
        checkpointing=config.backbone.checkpointing,
    )
    if config.training.sync_batchnorm and process.is_distributed:
        backbone = use_global_statistics(backbone, process.device)
    head = methods.create(
        config.method.name,
        num_classes=faces.manifest.num_train_classes,
        embedding_size=config.backbone.embedding_size,
        seed=seeds["head"],
        **config.method.options,
    )
    # Beside a network on the CPU, one thread decodes faster than the network learns, and more would be in its way.
    decoding_threads = threads if process.device.type == "cuda" else 1
    return Trainer(
        settings=config.training,
        backbone=backbone,
        head=head,
        loader=Loader(
            faces,
            sampler,
            seeds["flip"] if config.training.flip else None,
            decoding_threads,
            config.training.augment,
            seeds["augment"],
            pinned=process.device.type == "cuda",
            mirrors=process.device.type != "cuda",
        ),
        process=process,
        folder=cell.folder,
        run_hash=cell.record.hash,
        seed=seeds["layers"],
        stop=stop,
        watchdog=_watchdog(cell, process),
        checkpoint_minutes=cell.inputs.checkpoint_minutes,
        keep_checkpoints=cell.inputs.keep_checkpoints,
    )


def _watchdog(cell: Cell, process: Process) -> Watchdog:
    """A watch over the process, which notes in the record why it ended the run."""
    return Watchdog(
        cell.folder, process, 60 * cell.inputs.timeout_minutes, tell=lambda reason: _interrupt(cell, reason)
    )


def _unchanged_plugins(cell: Cell) -> tuple[PluginCode, ...]:
    """The code of installed packages that the run uses, which has to be what its name was made of."""
    found = plugins_of(cell.config, cell.inputs.test_sets)
    for planned in cell.record.code.plugins:
        if planned not in found:
            raise UserError(
                f"the run was planned with {planned.kind} '{planned.name}' of {planned.package} {planned.version}, "
                "which is not installed here or has changed: install the same again, or bench the new one"
            )
    return found


def _check_unchanged(cell: Cell, faces: NoisyFaces) -> None:
    """Make sure that the data are those the run was planned with: it may have begun on them long ago."""
    planned, outliers = cell.record, faces.outliers
    compared = [
        (cell.inputs.manifest, faces.manifest.checksum, planned.manifest_checksum, "manifest"),
        (cell.inputs.data, faces.base.fingerprint, planned.data.fingerprint, "data set"),
    ]
    if outliers is not None and planned.outliers is not None:
        compared.append((outliers.folder, outliers.fingerprint, planned.outliers.fingerprint, "outlier set"))
    for path, found, expected, what in compared:
        if found != expected:
            problem = f"the {what} changed under the run: fingerprint {found}, expected {expected}"
            raise FileError(path, problem, "put the former one back, or bench the new one")


def _leave_model(cell: Cell, trainer: Trainer, centres: torch.Tensor) -> None:
    """Leave the backbone and the class centres, float32 [C, D] or [C, K, D] (see `noisebench.analysis.drift`)."""
    model_file.save_model(
        cell.folder / model_file.MODEL_FILE,
        trainer.backbone,
        name=cell.config.backbone.name,
        embedding_size=cell.config.backbone.embedding_size,
        image_size=trainer.loader.faces.base.image_size,
    )
    with whole_file(cell.folder / CENTRES_FILE) as temporary, temporary.open("wb") as stream:
        np.save(stream, centres.float().cpu().numpy())


def _test(cell: Cell, trainer: Trainer, process: Process, watchdog: Watchdog) -> dict[str, TestMetrics]:
    """Every process embeds its share of the test images, and all come to the same metrics."""
    image_size, spread = trainer.loader.faces.base.image_size, process.is_distributed
    return {
        spec.name: evaluate_test_set(
            trainer.backbone, spec, device=process.device, image_size=image_size, spread=spread, watch=watchdog
        )
        for spec in map(parse, cell.inputs.test_sets)
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def main(folder: Path) -> ExitCode:
    """Run the cell in a folder and turn what happens into its record and an exit code."""
    warnings.formatwarning = lambda message, *_, **__: f"noisebench: warning: {message}\n"
    cell = Cell.read(folder)
    if os.environ.get("RANK", "0") == "0":  # the others still wait to meet it
        (folder / FAILURE_FILE).unlink(missing_ok=True)
    with stop_on_signals() as stop, join(cell.inputs.device, cell.inputs.timeout_minutes) as process:
        try:
            execute(cell, process, stop)
        except Stopped as stopped:
            if process.is_first:
                _interrupt(cell, str(stopped))
            return ExitCode.STOPPED
        except PeerLost as lost:
            return _lose(cell, process, lost)
        except TrainingFault as fault:
            if process.is_first:
                checkpoint.remove_all(folder)  # it would only diverge again
            return _fail(cell, process, str(fault))
        except UserError as error:
            return _fail(cell, process, str(error))
        except Exception as error:  # whatever it is, the record tells it and the bench goes on
            with contextlib.suppress(OSError):
                (folder / TRACEBACK_FILE).write_text(traceback.format_exc(), encoding="utf-8")
            first_line = next(iter(str(error).strip().splitlines()), "")
            return _fail(cell, process, f"{type(error).__name__}: {first_line} (see {folder / TRACEBACK_FILE})")
    return ExitCode.DONE


def _lose(cell: Cell, process: Process, lost: PeerLost) -> ExitCode:
    """Note that another process is gone: it may have said why."""
    failure = cell.folder / FAILURE_FILE
    if failure.is_file():
        return _fail(cell, process, failure.read_text(encoding="utf-8")) if process.is_first else ExitCode.FAILED
    if lost.is_told_here:
        _interrupt(cell, str(lost))
    return ExitCode.FAILED


def _fail(cell: Cell, process: Process, reason: str) -> ExitCode:
    """Note why the run failed: the first process in the record, another in a file beside it."""
    if process.is_first:
        _close(cell, "failed", reason)
    else:
        with _said_at_least(reason):
            write_text(cell.folder / FAILURE_FILE, f"process {process.rank}: {reason}")
    return ExitCode.FAILED


def _interrupt(cell: Cell, reason: str) -> None:
    """Note in the record why the run ended early; it can go on."""
    _close(cell, "interrupted", reason)


def _close(cell: Cell, status: str, reason: str) -> None:
    with _said_at_least(reason):
        changes: dict[str, Any] = {"status": status, "reason": reason, "finished": _now()}
        (cell.stored() or cell.record).model_copy(update=changes).write(cell.folder)


@contextlib.contextmanager
def _said_at_least(reason: str) -> Iterator[None]:
    """Print the reason where there is no room for it on the disk."""
    try:
        yield
    except UserError:
        sys.stderr.write(f"noisebench: {reason}\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
