#!/usr/bin/env python3
"""Makes the golden fixtures: what SAELens and dictionary_learning do with the same weights and the same batches.

    python3 tests/golden/make_fixtures.py

installs the two into .cache/golden-venv (once; they are pinned), trains each architecture for ten steps with the peer's
own trainer, and writes tests/golden/<peer>_<architecture>.safetensors and .json. The tests in tests/unit/golden read
them. All is float32, on one thread, from fixed seeds.

Tensors are named and laid out as Regulon has them: encoder.weight and decoder.weight [n, d], one feature a row.
  initial.*  weights before the first step
  step0.codes [B, n], step0.reconstruction [B, d], step0.loss [], step0.gradient.*: the first step, nothing clipped yet
  losses [10]: the peer's total loss of each step
  final.*    weights after ten steps of the peer's trainer
"""

import copy
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".cache" / "golden-venv"
PINNED = ["torch==2.11.0", "numpy==2.4.6", "safetensors==0.8.0", "einops==0.8.2", "tqdm==4.70.1"]
PEERS = ["sae-lens==6.54.12", "dictionary-learning==0.1.0"]


def enter_venv():
    """Runs this script again in the folder of pinned packages, made first if it is not there."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run(install + PINNED, check=True)
        subprocess.run(install + ["--no-deps"] + PEERS, check=True)
    os.execv(python, [str(python), str(HERE / "make_fixtures.py")])


if Path(sys.prefix).resolve() != VENV.resolve():
    enter_venv()

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import peers  # noqa: E402, F401  (must come before the peers)
from peer_dictionary_learning import CASES as DICTIONARY_LEARNING  # noqa: E402
from peer_sae_lens import CASES as SAE_LENS  # noqa: E402
from toy import STEPS, batches, initial_weights  # noqa: E402


def step0(case, trainer, batch):
    """Codes, reconstruction, loss and gradients of the first step, on a copy of the trainer."""
    trainer = copy.deepcopy(trainer)
    codes, reconstruction, loss = case.forward(trainer, batch)
    loss.backward()
    tensors = {"step0.codes": codes, "step0.reconstruction": reconstruction, "step0.loss": loss}
    for name, tensor in case.parameters(trainer).items():
        if tensor.grad is not None:
            tensors[f"step0.gradient.{name}"] = case.layout(name, tensor.grad)
    return tensors


def weights(case, trainer, prefix):
    """Copies: the trainer goes on changing its own."""
    named = case.parameters(trainer).items()
    return {f"{prefix}.{name}": case.layout(name, tensor).detach().clone() for name, tensor in named}


def make(case):
    torch.manual_seed(0)
    trainer = case.make(initial_weights(case.unit_norm))
    rows = batches()
    case.start(trainer, rows[0])
    tensors = weights(case, trainer, "initial") | step0(case, trainer, rows[0])
    tensors["losses"] = torch.tensor([case.update(trainer, step, rows[step]) for step in range(STEPS)])
    tensors |= weights(case, trainer, "final") | case.extra(trainer)
    plain = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(plain, HERE / f"{case.name}.safetensors")
    facts = {"peer": case.peer, "class": case.class_name, "settings": case.settings, "tensors": sorted(plain)}
    (HERE / f"{case.name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{case.name}: losses {tensors['losses'][0]:.4f} -> {tensors['losses'][-1]:.4f}")


def main():
    torch.set_num_threads(1)
    save_file({"batches": batches()}, HERE / "batches.safetensors")
    for case in DICTIONARY_LEARNING + SAE_LENS:
        make(case)


if __name__ == "__main__":
    main()
