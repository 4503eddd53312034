#!/usr/bin/env python3
"""Event files against the library of TensorBoard, which this installs into .cache/tensorboard-venv.

    event_files.py write        tests/golden/events.tfevents, as that library writes it
    event_files.py read RUN     what it reads in a run's folder against the run's metrics.jsonl
"""

import json
import math
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".cache" / "tensorboard-venv"
NEEDED = ["tensorboard==2.20.0", "protobuf==7.36.2", "numpy==2.4.6", "absl-py==2.5.1", "grpcio==1.85.1", "packaging==25.0",
          "typing-extensions>=4.12", "setuptools<81"]  # fmt: skip


def enter():
    """Goes on in the environment, which is made if need be."""
    python = ENVIRONMENT / "bin" / "python"
    if Path(sys.prefix) == ENVIRONMENT:
        return
    if not (ENVIRONMENT / ".complete").exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *NEEDED], check=True)
        (ENVIRONMENT / ".complete").touch()
    os.execv(python, [str(python), *sys.argv])


def write():
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    value = Summary.Value
    events = [
        Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        Event(wall_time=1700000000.25, step=201, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=1700000001.5, step=300, summary=Summary(value=[
            value(tag="loss", simple_value=0.1), value(tag="terms/l1 ü/value", simple_value=-2e30)])),
        Event(wall_time=1700000002.0, step=1 << 40, summary=Summary(value=[value(tag="t" * 300, simple_value=0.0)])),
    ]  # fmt: skip
    with open(HERE / "events.tfevents", "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def expected(line):
    scalars = {name: line[name] for name in
               ("loss", "fvu", "l0", "dead_share", "learning_rate", "gradient_norm", "rows_per_second")}  # fmt: skip
    for name, term in line["terms"].items():
        scalars[f"terms/{name}/value"] = term["value"]
        scalars[f"terms/{name}/weighted"] = term["weighted"]
    return scalars | {f"figures/{name}": value for name, value in line.get("figures", {}).items()}


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    found = {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    wanted = {}
    for line in lines:
        for tag, value in expected(line).items():
            wanted.setdefault(tag, {})[line["step"]] = value
    assert lines and wanted.keys() == found.keys(), sorted(wanted.keys() ^ found.keys())
    for tag, values in wanted.items():
        assert values.keys() == found[tag].keys(), (tag, sorted(values.keys() ^ found[tag].keys()))
        for step, value in values.items():
            assert math.isclose(value, found[tag][step], rel_tol=1e-6, abs_tol=1e-30), (tag, step, value, found[tag][step])
    print(f"{run}: {len(wanted)} tags at {len(lines)} steps, as in metrics.jsonl")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("write", "read"):
        sys.exit(__doc__)
    enter()
    write() if sys.argv[1] == "write" else read(Path(sys.argv[2]))
