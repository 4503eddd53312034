#!/usr/bin/env python3
"""Makes assigned_neighbours.safetensors: scipy's best assignments of rows to each other, none to itself.

    python3 tests/golden/assigned_neighbours.py

installs what it needs into .cache/golden-venv where that is not there (pinned).
tests/unit/sdk/assigned_neighbours_test.cpp reads the file. For each set of unit rows NAME:

  NAME.rows [n, d]                        float64
  NAME.absolute, NAME.signed []           the mean |cosine| or cosine of the assignment (which never is the only one as good
                                          if it has a ring of three or more: cosines go both ways)
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".cache" / "golden-venv"
PINNED = ["numpy==2.4.6", "safetensors==0.8.0", "scipy==1.17.1"]


def enter_venv():
    """Runs this script again in the folder of pinned packages, with what it lacks installed first."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet"] + PINNED, check=True)
    os.execv(python, [str(python), str(HERE / "assigned_neighbours.py")])


if Path(sys.prefix).resolve() != VENV.resolve():
    enter_venv()

import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def assigned(sizes):
    """The mean of scipy's assignment; no row has itself, at a cost that no other choice comes near."""
    costs = -sizes.copy()
    np.fill_diagonal(costs, 1e6)
    rows, columns = linear_sum_assignment(costs)
    return np.array(sizes[rows, columns].mean())


def sets(random):
    """Rows without ties; rows in tight groups of three to six, of either sign; three rows; equal rows."""
    centres = random.standard_normal((24, 12))
    grouped = np.repeat(centres, random.integers(3, 7, 24), axis=0)
    grouped += 0.2 * random.standard_normal(grouped.shape)
    grouped *= random.choice([-1.0, 1.0], (len(grouped), 1))
    return {
        "random": random.standard_normal((121, 9)),
        "crowded": random.standard_normal((160, 3)),
        "grouped": grouped,
        "three": random.standard_normal((3, 2)),
        "equal": np.repeat(random.standard_normal((7, 5)), 3, axis=0),
    }


def main():
    tensors = {}
    for name, rows in sets(np.random.default_rng(6)).items():
        rows = unit(rows)
        cosines = rows @ rows.T
        tensors[f"{name}.rows"] = rows
        for kind, sizes in (("absolute", np.abs(cosines)), ("signed", cosines)):
            tensors[f"{name}.{kind}"] = assigned(sizes)
            print(name, kind, tensors[f"{name}.{kind}"])
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()},
              HERE / "assigned_neighbours.safetensors")  # fmt: skip


if __name__ == "__main__":
    main()
