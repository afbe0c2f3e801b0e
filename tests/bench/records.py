"""Records for tests."""

from __future__ import annotations

from typing import Any

from noisebench.bench.record import Code, DataSource, Epoch, RunRecord, TestMetrics


def done_record(**changes: Any) -> RunRecord:
    """A finished run, with whatever a test wants to be different."""
    record = RunRecord(
        status="done",
        suite="synth",
        noise="closed30",
        method="arcface",
        seed=0,
        hash="a" * 64,
        config={"training": {"epochs": 2}},
        method_sha256="b" * 64,
        manifest_checksum="c" * 64,
        noise_counts={"clean": 70, "closed": 30, "open": 0},
        seeds={"order": 1},
        data=DataSource(name="faces", fingerprint="d" * 64, num_images=100, num_classes=10),
        code=Code(version="0.1.0", sha256="e" * 64, git_commit=None, git_dirty=None),
        precision="float32",
        metrics={
            "unseen": TestMetrics(
                sha256="f" * 64,
                num_pairs=600,
                accuracy=0.9,
                accuracy_std=0.01,
                tar_at_far={"0.01": 0.5},
                mean_norm=12.0,
            )
        },
        history=[Epoch(epoch=0, loss=9.5, learning_rate=0.1, images_per_second=500.0)],
        timings={"train": 10.0, "test": 1.0},
    )
    return record.model_copy(update=changes)
