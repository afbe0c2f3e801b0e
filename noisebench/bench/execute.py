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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from noisebench import backbones, methods
from noisebench.bench.cell import FAILURE_FILE, Cell
from noisebench.bench.provenance import code, environment
from noisebench.bench.record import Epoch, RunRecord, TestMetrics
from noisebench.data.dataset import NoisyFaces
from noisebench.data.loader import Loader
from noisebench.data.sampler import BatchSampler
from noisebench.errors import UserError
from noisebench.evaluation.embed import evaluate
from noisebench.exit_codes import ExitCode
from noisebench.files import write_text
from noisebench.formats import verification_bin
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import Manifest
from noisebench.training import checkpoint, model_file
from noisebench.training.distributed import Process, join
from noisebench.training.stopping import Stopped, StopRequest, stop_on_signals
from noisebench.training.sync_batchnorm import use_global_statistics
from noisebench.training.trainer import Trainer, TrainingFault

TRACEBACK_FILE = "traceback.txt"


def execute(cell: Cell, process: Process, stop: StopRequest) -> RunRecord:
    """Train and test a cell; the first process leaves the model and the record in its folder.

    Raises:
        Stopped: Asked to stop; a later call goes on.
        TrainingFault: The training diverged.
        UserError: Some input is at fault.
    """
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    record = cell.record.model_copy(
        update={
            "code": code(),
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
    if not process.is_first:
        return record
    model_file.save_model(
        cell.folder / model_file.MODEL_FILE,
        trainer.backbone,
        name=cell.config.backbone.name,
        embedding_size=cell.config.backbone.embedding_size,
        image_size=trainer.loader.faces.base.image_size,
    )
    metrics = _test(cell, trainer, process)
    record = record.model_copy(
        update={
            "status": "done",
            "history": [Epoch(**dataclasses.asdict(epoch)) for epoch in history],
            "metrics": metrics,
            "timings": {"train": trained - began, "test": time.perf_counter() - trained},
            "finished": _now(),
        }
    )
    record.write(cell.folder)
    (cell.folder / checkpoint.CHECKPOINT_FILE).unlink(missing_ok=True)
    return record


def build_trainer(cell: Cell, process: Process, stop: StopRequest, threads: int) -> Trainer:
    """Everything a cell trains with, built from its configuration."""
    config, seeds = cell.config, cell.record.seeds
    base = FaceSet.open(cell.inputs.data, cell.inputs.reader)
    outliers = FaceSet.open(cell.inputs.outliers, cell.inputs.reader) if cell.inputs.outliers else None
    torch.set_num_threads(threads)  # MXNet, where it is the reader, has put torch on one
    faces = NoisyFaces(base, outliers, Manifest.read(cell.inputs.manifest))
    sampler = BatchSampler(
        num_rows=len(faces),
        batch_size=config.training.batch_size,
        seed=seeds["order"],
        rank=process.rank,
        world_size=process.world_size,
    )
    backbone = backbones.create(
        config.backbone.name,
        embedding_size=config.backbone.embedding_size,
        image_size=base.image_size,
        seed=seeds["backbone"],
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
        loader=Loader(faces, sampler, seeds["flip"] if config.training.flip else None, decoding_threads),
        process=process,
        folder=cell.folder,
        run_hash=cell.record.hash,
        seed=seeds["layers"],
        stop=stop,
    )


def _test(cell: Cell, trainer: Trainer, process: Process) -> dict[str, TestMetrics]:
    metrics = {}
    for path in cell.inputs.test_sets:
        testset = verification_bin.read(path)
        result = evaluate(
            trainer.backbone, testset, device=process.device, image_size=trainer.loader.faces.base.image_size
        )
        metrics[testset.name] = TestMetrics(**dataclasses.asdict(result))
    return metrics


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def main(folder: Path) -> ExitCode:
    """Run the cell in a folder and turn what happens into its record and an exit code."""
    cell = Cell.read(folder)
    with stop_on_signals() as stop, join(cell.inputs.device) as process:
        try:
            execute(cell, process, stop)
        except Stopped as stopped:
            return _leave(cell, process, "interrupted", str(stopped), ExitCode.STOPPED)
        except (UserError, TrainingFault) as fault:
            return _leave(cell, process, "failed", str(fault), ExitCode.FAILED)
        except Exception as error:  # whatever it is, the record tells it and the bench goes on
            with contextlib.suppress(OSError):
                (folder / TRACEBACK_FILE).write_text(traceback.format_exc(), encoding="utf-8")
            first_line = next(iter(str(error).strip().splitlines()), "")
            reason = f"{type(error).__name__}: {first_line} (see {folder / TRACEBACK_FILE})"
            return _leave(cell, process, "failed", reason, ExitCode.FAILED)
    return ExitCode.DONE


def _leave(cell: Cell, process: Process, status: str, reason: str, exit_code: ExitCode) -> ExitCode:
    """Note why the run ended early: the first process in the record, another in a file beside it."""
    try:
        if process.is_first:
            changes: dict[str, Any] = {"status": status, "reason": reason, "finished": _now()}
            (cell.stored() or cell.record).model_copy(update=changes).write(cell.folder)
        elif status == "failed":
            write_text(cell.folder / FAILURE_FILE, f"process {process.rank}: {reason}")
    except UserError:  # no room for the reason either: then say it, at least
        sys.stderr.write(f"noisebench: {reason}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
