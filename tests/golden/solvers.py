#!/usr/bin/env python3
"""Makes solvers.safetensors: what scikit-learn makes of a small sparse coding problem, in float64.

    python3 tests/golden/solvers.py

installs scikit-learn into .cache/golden-venv where it is not there (pinned). tests/unit/sdk/solvers_golden_test.cpp
reads the file.

  rows [B, d], dictionary [n, d] (unit rows), costs [n], lambda [], k []
  lasso.codes, positive.codes [B, n]: Lasso, of both signs and positive, at 1/2 |x - f D|^2 + lambda |f|_1
  weighted.codes [B, n]: positive, with lambda * costs_i for each feature (solved with rows of D over their costs)
  sparse_encode.codes [B, n]: sparse_encode's lasso_cd, positive
  omp.codes [B, n]: orthogonal_mp with k coefficients
  *.objective [B]
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".cache" / "golden-venv"
PINNED = ["numpy==2.4.6", "safetensors==0.8.0", "scikit-learn==1.9.1"]


def enter_venv():
    """Runs this script again in the folder of pinned packages, with what it lacks installed first."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet"] + PINNED, check=True)
    os.execv(python, [str(python), str(HERE / "solvers.py")])


if Path(sys.prefix).resolve() != VENV.resolve():
    enter_venv()

import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from sklearn.decomposition import sparse_encode  # noqa: E402
from sklearn.linear_model import Lasso, orthogonal_mp  # noqa: E402

ROWS, FEATURES, WIDTH = 24, 96, 32
LAMBDA, K = 0.15, 6


def problem():
    """Rows that are sparse positive sums of atoms with some noise, and one of them zero."""
    random = np.random.default_rng(20)
    dictionary = random.standard_normal((FEATURES, WIDTH))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = random.random((ROWS, FEATURES)) * (random.random((ROWS, FEATURES)) < 6 / FEATURES)
    rows = codes @ dictionary + 0.05 * random.standard_normal((ROWS, WIDTH))
    rows[7] = 0
    return rows, dictionary, random.uniform(0.5, 2.0, FEATURES)


def lasso(rows, dictionary, positive):
    """scikit-learn's Lasso divides the error by the number of its samples, which is d here."""
    model = Lasso(alpha=LAMBDA / WIDTH, fit_intercept=False, positive=positive, tol=1e-15, max_iter=1000000)
    return np.stack([model.fit(dictionary.T, row).coef_.copy() for row in rows])


def objective(rows, dictionary, codes, costs, price):
    return 0.5 * ((rows - codes @ dictionary) ** 2).sum(1) + price * np.abs(codes) @ costs


def main():
    rows, dictionary, costs = problem()
    ones = np.ones(FEATURES)
    found = {
        "lasso": (lasso(rows, dictionary, False), ones, LAMBDA),
        "positive": (lasso(rows, dictionary, True), ones, LAMBDA),
        "weighted": (lasso(rows, dictionary / costs[:, None], True) / costs, costs, LAMBDA),
        "sparse_encode": (sparse_encode(rows, dictionary, algorithm="lasso_cd", alpha=LAMBDA, positive=True,
                                        max_iter=100000), ones, LAMBDA),
        "omp": (orthogonal_mp(dictionary.T, rows.T, n_nonzero_coefs=K).T, ones, 0.0),
    }  # fmt: skip
    tensors = {"rows": rows, "dictionary": dictionary, "costs": costs, "lambda": np.array(LAMBDA), "k": np.array(K)}
    for name, (codes, weights, price) in found.items():
        tensors[f"{name}.codes"] = np.ascontiguousarray(codes)
        tensors[f"{name}.objective"] = objective(rows, dictionary, codes, weights, price)
        print(f"{name}: {np.count_nonzero(codes) / ROWS:.2f} codes a row, {tensors[f'{name}.objective'].mean():.6f}")
    save_file(tensors, HERE / "solvers.safetensors")


if __name__ == "__main__":
    main()
