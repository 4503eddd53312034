#!/usr/bin/env python3
"""Makes reports of all kinds and opens them in a browser: see browser.py.

    check.py REGULON FOLDER     REGULON: the program; FOLDER: where to work, emptied first

Runs and studies are trained by the program where that is quick; those that are damaged, unfinished or named by somebody
hostile are written here. Exit code 77 if there is no browser.
"""

import json
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import browser

CONFIG = """
[run]
name = "small"
steps = 300
report_every = 10
[data]
source = "toy.pairs"
batch = 128
[model]
features = 16
[optimiser]
learning_rate = 3e-3
[encoder]
plugin = "linear"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l1"
weight = 0.1
[[loss]]
plugin = "orthogonality"
weight = -0.01
"""
STUDY = """
[study]
name = "two_axes"
seeds = 2
[[axis]]
key = "loss.l1.weight"
values = [0.1, 0.3, 0.6]
[[axis]]
name = "features"
[[axis.point]]
name = "16"
[[axis.point]]
name = "32"
set = ["model.features=32"]
"""
ON_FILES = """
[study]
name = "alike"
seeds = 3
[[axis]]
key = "model.features"
values = [16, 24]
""" + CONFIG.replace('source = "toy.pairs"', 'source = "files"\nfiles = ["rows.safetensors"]')
ALIEN = "</script><script>window.alien=1</script><img src=x onerror=window.alien=1>\"'ünï"
# How many figures there should be at least, and some of them.
CURVES = ["Variance unexplained (FVU) by step", "Active features a row (L0) by step"]
FIGURES = {
    "trained": (8, ["Rows by their loss", "What codes are worth"]),
    "tokens": (7, ["Rows by their loss"]),
    "study": (23, [*CURVES, "Loss term orthogonality by step"]),
    "alike": (10, [*CURVES, "How alike the seeds' dictionaries are"]),
    "unfinished": (5, []),
    "hostile": (7, []),
    "hostile_study": (7, [*CURVES, f"Loss term {ALIEN} by step"]),
    "failed_study": (0, []),
}


def rows_with_tokens(path):
    """Rows of 8 numbers with token ids from 0 to 49, as safetensors."""
    draw = random.Random(0)
    rows = [draw.random() * (draw.random() < 0.3) for _ in range(2000 * 8)]
    parts = {"activations": ("F32", [2000, 8], struct.pack(f"<{len(rows)}f", *rows)),
             "token_ids": ("I32", [2000], struct.pack("<2000i", *(draw.randrange(50) for _ in range(2000))))}  # fmt: skip
    header, at = {}, 0
    for name, (dtype, shape, data) in parts.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in parts.values()))


def hostile_run(folder):
    """A finished run whose every name is an attack; it has no plugins that could measure it again."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"run": {"name": ALIEN, "steps": 20}, "encoder": {"plugin": ALIEN, "activation": ALIEN},
              "model": {"features": 100}, "data": {"source": ALIEN}, "loss": [{"name": ALIEN, "plugin": "mse"}]}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"config": config, "seed": 0, "versions": {ALIEN: ALIEN}}))
    lines = [{"step": step, "fvu": 1 / step, "l0": 3, "dead_share": step / 100, "gradient_norm": 1e-9 * step,
              "terms": {ALIEN: {"value": step, "weighted": 2.0 * step}}} for step in range(1, 21)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 21, "fv')
    frequency = {"unused": 0.5, "below_1e-3": 0.25, "above": 0.25}
    held_out = {"fvu": 0.5, "l0": 3, "rows": 10, "frequency": frequency}
    (folder / "summary.json").write_text(json.dumps({"held_out": held_out, "last": lines[-1]}))
    return config


def hostile_study(folder, status):
    """Points that are attacks, one seed each: no spread, no interval."""
    folder.mkdir()
    names = ["base", ALIEN, "long " * 30]
    points, runs = [], []
    for i, name in enumerate(names):
        figures = {"fvu": 0.1 * (i + 1), "l0": 10.0**i, "cosine": 0.9 + 0.01 * i}
        measures = {key: {"n": 1, "mean": value, "std": None, "min": value, "max": value} for key, value in figures.items()}
        if i > 0:
            for measure in measures.values():
                measure["difference"] = {"n": 1, "mean": 0.1, "low": None, "high": None}
        points.append({"point": f"{ALIEN}={name}", "choices": {ALIEN: name}, "measures": measures if status == "done" else {}})
        summary = {"held_out": figures}
        if status == "done":  # run's name: a path that an attack would make
            hostile_run(folder / "runs" / f"{name},seed=0")
            (folder / "runs" / f"{name},seed=0" / "summary.json").write_text(json.dumps(summary))
        run = {"run": f"{name},seed=0", "point": points[-1]["point"], "seed": 0, "choices": {}, "status": status}
        runs.append(run | ({"summary": summary} if status == "done" else {"error": f"it failed: {ALIEN}\nline 2"}))
    results = {"study": ALIEN, "file": ALIEN, "axes": [{"name": ALIEN, "choices": names}], "points": points, "runs": runs}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "study.json").write_text(json.dumps({"study": ALIEN, "runs": {run["run"]: "" for run in runs}}))


def main():
    program, work = sys.argv[1], Path(sys.argv[2])
    if not browser.find_chromium():
        print("skipped: no Chromium is here (Debian: apt-get install chromium)")
        return browser.SKIPPED
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)

    def regulon(*words, code=0):
        ended = subprocess.run([program, *map(str, words)], cwd=work, text=True, capture_output=True)
        assert ended.returncode == code, (words, ended.returncode, ended.stdout, ended.stderr)

    (work / "small.toml").write_text(CONFIG)
    (work / "study.toml").write_text(STUDY + CONFIG)
    regulon("train", "small.toml", "--out", "trained")
    regulon("study", "study.toml", "--out", "study")
    rows_with_tokens(work / "rows.safetensors")
    (work / "vocab.txt").write_text("\n".join(f"{ALIEN}{i}" for i in range(50)))
    (work / "alike.toml").write_text(ON_FILES)
    regulon("study", "alike.toml", "--out", "alike")
    shutil.copytree(next((work / "alike" / "runs").iterdir()), work / "tokens")
    shutil.copytree(work / "trained", work / "unfinished")
    (work / "unfinished" / "summary.json").unlink()
    (work / "unfinished" / "report.html").unlink()
    hostile_run(work / "hostile")
    hostile_study(work / "hostile_study", "done")
    hostile_study(work / "failed_study", "failed")
    for name in FIGURES:
        regulon("report", name, "--out", f"{name}.html", *(["--vocab", "vocab.txt"] if name == "tokens" else []))

    if "The plots are missing" in (work / "failed_study.html").read_text():
        print("skipped: the program was built without Vega, and its reports have no plots")
        return browser.SKIPPED
    faults, figures = browser.check([work / f"{name}.html" for name in FIGURES], work)
    few = 0
    for (name, (least, wanted)), titles in zip(FIGURES.items(), figures):
        missing = [title for title in wanted if title not in titles]
        if len(titles) < least or missing:
            print(f"{name}: {len(titles)} figures of at least {least}; missing: {missing}")
            few += 1
    return 1 if faults or few else 0


if __name__ == "__main__":
    sys.exit(main())
