#!/usr/bin/env python3
"""Makes measures.safetensors: what scipy, numpy and SAELens make of two small dictionaries and of losses.

    python3 tests/golden/measures.py

installs them into .cache/golden-venv where they are not there (pinned). tests/unit/measure/measures_golden_test.cpp
reads the file.

  a [n, d], b [m, d]                 dictionaries, of rows of any length; part of b is near rows of a
  mmcs.a, mmcs.b []                  mean of the highest cosine, numpy
  nearest.a, nearest.b [n, 12]       cosines in descending order, numpy
  assignment.signed, .absolute []    mean cosine under scipy's linear_sum_assignment, of (absolute) cosines
  assignment.doubled []                 the same with every fourth row of a twice
  mcc, uniqueness []                 SAELens' mean_correlation_coefficient and feature_uniqueness of a and b
  costs [r, c], costs.total []       a matrix of costs and scipy's cheapest matching of all rows
  codes [R, n], active [R, m]        which features, and which of the true features b, are active in each row
  classification [4]                 SAELens' precision, recall, F1 and accuracy, of a as detectors of b
  losses.a, losses.b [R]             losses of rows with a heavy tail
  losses.correlation, .log_correlation [], losses.quantiles [4] (50, 90, 99, 99.9 %), losses.tail []
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".cache" / "golden-venv"
PINNED = ["torch==2.11.0", "numpy==2.4.6", "safetensors==0.8.0", "scipy==1.17.1", "tqdm==4.70.1"]
PEERS = ["sae-lens==6.54.12"]


def enter_venv():
    """Runs this script again in the folder of pinned packages, with what it lacks installed first."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run(install + PINNED, check=True)
    subprocess.run(install + ["--no-deps"] + PEERS, check=True)
    os.execv(python, [str(python), str(HERE / "measures.py")])


if Path(sys.prefix).resolve() != VENV.resolve():
    enter_venv()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402

sys.path.insert(0, str(HERE))
import peers  # noqa: E402, F401  (stands in for what SAELens imports and does not need here)
from sae_lens.synthetic import evals  # noqa: E402

FEATURES_A, FEATURES_B, WIDTH, ROWS = 90, 120, 24, 400


def cosines(a, b):
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


def matched(values):
    rows, columns = linear_sum_assignment(-values)
    return np.array(values[rows, columns].mean())


def dictionaries(random):
    """Half of b lies near rows of a, some of it opposite; rows have any length."""
    a = random.standard_normal((FEATURES_A, WIDTH)) + 0.3
    b = random.standard_normal((FEATURES_B, WIDTH)) + 0.3
    near = random.permutation(FEATURES_A)[:60]
    b[:60] = a[near] + 0.4 * random.standard_normal((60, WIDTH))
    b[50:60] *= -1
    scale = random.uniform(0.2, 3.0, (FEATURES_A, 1))
    return (a * scale).astype(np.float32), random.permutation(b).astype(np.float32)


def classification(random, a, b):
    """SAELens' classification of codes that fire with the nearest true feature, mostly."""
    active = random.random((ROWS, FEATURES_B)) < random.uniform(0.01, 0.3, FEATURES_B)
    best = np.abs(cosines(a, b)).argmax(axis=1)
    codes = active[:, best] ^ (random.random((ROWS, FEATURES_A)) < 0.05)
    codes[:, 3] = 0
    found = evals.compute_classification_metrics(*[torch.from_numpy(np.asarray(part, dtype=np.float32))
                                                   for part in (codes, active, a, b)])  # fmt: skip
    figures = np.array([found.precision, found.recall, found.f1_score, found.accuracy], dtype=np.float64)
    return {"codes": codes.astype(np.uint8), "active": active.astype(np.uint8), "classification": figures}


def losses(random):
    common = random.standard_normal(ROWS)
    a = np.exp(common + 0.3 * random.standard_normal(ROWS))
    b = np.exp(0.9 * common + 0.5 * random.standard_normal(ROWS))
    return {
        "losses.a": a,
        "losses.b": b,
        "losses.correlation": np.array(np.corrcoef(a, b)[0, 1]),
        "losses.log_correlation": np.array(np.corrcoef(np.log(a), np.log(b))[0, 1]),
        "losses.quantiles": np.quantile(a, [0.5, 0.9, 0.99, 0.999], method="inverted_cdf"),
        "losses.tail": np.array(np.sort(a)[-ROWS // 100 :].sum() / a.sum()),
    }


def main():
    random = np.random.default_rng(21)
    a, b = dictionaries(random)
    between = cosines(a.astype(np.float64), b.astype(np.float64))
    doubled = np.concatenate([a, a[::4]]).astype(np.float64)
    costs = random.uniform(0, 1, (40, 55))
    tensors = {
        "a": a,
        "b": b,
        "mmcs.a": np.array(between.max(axis=1).mean()),
        "mmcs.b": np.array(between.max(axis=0).mean()),
        "nearest.a": -np.sort(-between, axis=1)[:, :12],
        "nearest.b": -np.sort(-between.T, axis=1)[:, :12],
        "assignment.signed": matched(between),
        "assignment.absolute": matched(np.abs(between)),
        "assignment.doubled": matched(cosines(doubled, b.astype(np.float64))),
        "mcc": np.array(evals.mean_correlation_coefficient(torch.from_numpy(a), torch.from_numpy(b))),
        "uniqueness": np.array(evals.feature_uniqueness(torch.from_numpy(a), torch.from_numpy(b))),
        "costs": costs,
        "costs.total": np.array(costs[linear_sum_assignment(costs)].sum()),
    }
    tensors |= classification(random, a, b) | losses(random)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, HERE / "measures.safetensors")
    for name in ("mmcs.a", "assignment.signed", "assignment.absolute", "mcc", "uniqueness", "classification"):
        print(name, tensors[name])


if __name__ == "__main__":
    main()
