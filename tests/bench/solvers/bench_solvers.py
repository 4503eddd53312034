#!/usr/bin/env python3
"""The solvers beside scikit-learn's sparse_encode: the same rows, the same dictionary, the same objective, in turn.

  python3 tests/bench/solvers/bench_solvers.py [--features 8192] [--rows 1000] [--peer-rows 100] [--rounds 3] [--jobs 1]

Needs a built project. scikit-learn is installed into .cache/golden-venv on first use. A dictionary is trained on the
repository's sample of language-model activations (d = 384) for a hundred steps; OMP is solved at k = 32 with codes of both
signs, as scikit-learn has it, the lasso positive at the lambda where rows have about 85 features. Regulon's time is the
whole command, start included; scikit-learn's is of its call alone, with `--jobs` processes, on fewer rows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REGULON = ROOT / "build" / "regulon"
DATA = ROOT / "configs" / "minilm" / "data"
CONFIG = """
[run]
steps = 100
report_every = 100
[data]
source = "files"
files = ["{data}/train-*.safetensors"]
held_out_files = ["{data}/test-*.safetensors"]
batch = 1024
[model]
features = {features}
[encoder]
plugin = "linear"
activation = "topk"
k = 85
[[loss]]
plugin = "mse"
"""

VENV = ROOT / ".cache" / "golden-venv"
if Path(sys.prefix).resolve() != VENV.resolve():
    if not (VENV / "bin" / "python").exists():
        sys.exit("make the environment first: python3 tests/golden/solvers.py")
    sys.exit(subprocess.call([VENV / "bin" / "python", __file__, *sys.argv[1:]]))

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from sklearn.decomposition import sparse_encode  # noqa: E402


def call(*arguments):
    ended = subprocess.run([REGULON, *map(str, arguments)], capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}\n{ended.stderr}")
    return ended.stdout


def solved(run, out, rows, options):
    """Seconds for 1,000 rows and what was written."""
    began = time.perf_counter()
    call("encode", run, "--rows", rows, "--out", out, *options)
    return (time.perf_counter() - began) / rows * 1000, load_file(out)


def dense(found, rows, features):
    codes = np.zeros((rows, features))
    offsets = found["row_offsets"]
    for row in range(rows):
        part = slice(offsets[row], offsets[row + 1])
        codes[row, found["feature_ids"][part]] = found["values"][part]
    return codes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=8192)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--peer-rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "run.toml").write_text(CONFIG.format(data=DATA, features=arguments.features))
        run = scratch / "run"
        call("train", scratch / "run.toml", "--out", run)
        weights = load_file(run / "weights.safetensors")
        gap = json.loads(call("eval", run, "--gap", "--rows", 200, "--solver", "cd", "--json"))
        price = gap["lambda"]
        rows = load_file(DATA / "test-00000.safetensors")["activations"][: arguments.peer_rows].astype(np.float64)
        rows = rows - weights["decoder.bias"]
        dictionary = weights["decoder.weight"].astype(np.float64)
        print(f"scikit-learn {sklearn.__version__}, d {dictionary.shape[1]}, n {len(dictionary)}; seconds for 1,000 rows")
        ways = {
            "omp, k 32": (["--solver", "omp", "--k", 32, "--signed"],
                          {"algorithm": "omp", "n_nonzero_coefs": 32}, 0.0),
            f"lasso, lambda {price:.4g}": (["--solver", "cd", "--lambda", price],
                                           {"algorithm": "lasso_cd", "alpha": price, "positive": True, "max_iter": 10000},
                                           price),
        }  # fmt: skip
        for name, (options, peer_options, cost) in ways.items():
            for _ in range(arguments.rounds):
                here, found = solved(run, scratch / "codes.safetensors", arguments.rows, options)
                began = time.perf_counter()
                theirs = sparse_encode(rows, dictionary, n_jobs=arguments.jobs, **peer_options)
                there = (time.perf_counter() - began) / len(rows) * 1000
                mine = dense(found, len(rows), len(dictionary))

                def objective(codes):
                    return (((rows - codes @ dictionary) ** 2).sum(1) / 2 + cost * np.abs(codes).sum(1)).mean()

                print(f"{name:22} here {here:7.2f}  scikit-learn {there:7.2f}  ratio {there / here:5.1f}  "
                      f"objective {objective(mine):.6f} ({objective(theirs):.6f})  "
                      f"L0 {np.count_nonzero(mine) / len(rows):.1f} ({np.count_nonzero(theirs) / len(rows):.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
