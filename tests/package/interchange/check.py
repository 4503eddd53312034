#!/usr/bin/env python3
"""Holds `regulon export` and `regulon import` against SAELens, dictionary_learning and sparsify themselves.

    python3 tests/package/interchange/check.py               both ways, on 1,000 rows of configs/minilm/data
    python3 tests/package/interchange/check.py --fixtures    writes tests/golden/interchange anew

Needs a built program (./regulon setup) and, for the first, `ninja -C build encode_rows`. Installs the libraries into
.cache/interchange-venv once; --venv DIR uses another environment that has them; REGULON_TORCH_DIR: see environment.py.

Out: every architecture is trained for some steps, exported to each library that can hold it, loaded by that library's
own loader; its encode and decode of the rows as stored are compared with the run's own codes and reconstruction. What
it cannot hold has to be refused. Back: each library saves each of its classes, which is imported; codes, reconstruction,
FVU, L0 and dead share are compared. "worst" is the largest difference in a row over the row's largest code: 1e-5 may not
be exceeded. "only" counts codes that one side alone has: of a ReLU, where a pre-activation is within rounding of zero. One
that is larger than 1e-5 of the row's largest, "edge", has to have a partner on the other side as large: the last of a
ranking. "element" is the largest difference over the code itself, which for the smallest codes is mostly rounding.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environment

environment.enter(str(Path(__file__).resolve()))

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import fixtures  # noqa: E402
import peer_saes  # noqa: E402

ROOT = environment.ROOT
REGULON = ROOT / "build" / "regulon"
ENCODE = ROOT / "build" / "tests" / "encode_rows"
DATA = ROOT / "configs" / "minilm" / "data"
WIDTH, FEATURES = 384, 512
TOLERANCE = 1e-5

CONFIG = """
[run]
steps = 40
[data]
source = "files"
files = ["{data}/train-*.safetensors"]
batch = 1024
normalise = "{normalise}"
[model]
features = {features}
{model}
[optimiser]
learning_rate = 3e-3
[encoder]
{encoder}
{losses}
"""
MSE = '[[loss]]\nplugin = "mse"'
L1 = MSE + '\n[[loss]]\nplugin = "l1"\nweight = 2.0'
RANKED = 'plugin = "linear"\nactivation = "{}"\nk = 16'
GATED = MSE + '\n[[loss]]\nplugin = "gate_l1"\nweight = 2.0\n[[loss]]\nplugin = "gated_auxiliary"'
JUMP = 'activation = "jumprelu"\nthreshold_l0 = 16\nbandwidth = 0.2'
EVERYWHERE, NOT_SPARSIFY = ["saelens", "dictionary_learning", "sparsify"], ["saelens", "dictionary_learning"]
# name: [encoder], losses, normalise, more of [model], which libraries can hold it
RUNS = {
    "standard": ('plugin = "linear"', L1, "scale", "", NOT_SPARSIFY),
    "standard, rows as stored": ('plugin = "linear"', L1, "none", "", NOT_SPARSIFY),
    "standard, tied, centred data": ('plugin = "linear"\ntied = true', L1, "center", "", NOT_SPARSIFY),
    "standard, bias not subtracted": ('plugin = "linear"\nsubtract_decoder_bias = false', L1, "center", "", NOT_SPARSIFY),
    "topk": (RANKED.format("topk"), MSE, "scale", "", EVERYWHERE),
    "topk, free norms": (RANKED.format("topk") + "\nrescale_by_decoder_norm = true", MSE, "center", "unit_norm = false",
                         EVERYWHERE),
    "batch_topk": (RANKED.format("batch_topk"), MSE, "scale", "", NOT_SPARSIFY),
    "batch_topk, by cost": (RANKED.format("batch_topk") + '\ncost_in_selection = "subtract"\n[cost]\n'
                            'plugin = "log_rarity"', MSE, "scale", "", NOT_SPARSIFY),
    "jumprelu": ('plugin = "linear"\n' + JUMP, MSE, "center", "", NOT_SPARSIFY),
    "gated": ('plugin = "gated"\ninitial_l0 = 24', GATED, "scale", "", NOT_SPARSIFY),
    "gated by jumprelu": ('plugin = "gated"\n' + JUMP, MSE, "center", "", NOT_SPARSIFY),
    "matryoshka": (RANKED.format("batch_topk"), '[[loss]]\nplugin = "matryoshka"\nwidths = [64, 256]', "scale", "",
                   NOT_SPARSIFY),
}  # fmt: skip


def call(*arguments, fails=False):
    done = subprocess.run([str(word) for word in arguments], capture_output=True, text=True)
    if (done.returncode == 2) != fails or done.returncode not in (0, 2):
        sys.exit(f"{' '.join(map(str, arguments))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if not fails else done.stderr


def ours(run, rows_file, scratch):
    out = scratch / "encoded.safetensors"
    call(ENCODE, run, rows_file, out)
    encoded = load_file(out)
    return encoded["codes"], encoded["reconstruction"]


class Comparison:
    """Codes and reconstructions of two programs on the same rows."""

    def __init__(self, mine, theirs, norms=None):
        (codes, rebuilt), (other, other_rebuilt) = mine, theirs
        codes = codes if norms is None else codes * norms
        largest = torch.maximum(codes, other).amax(1, keepdim=True).clamp_min(1e-12)
        both = (codes > 0) & (other > 0)
        self.worst = (((codes - other).abs() * both) / largest).max().item()
        self.relative = ((codes - other).abs() / codes.abs().clamp_min(1e-12))[both].max().item()
        self.l0 = (codes > 0).sum(1).float().mean().item()
        # Of what one side alone has: in pairs (the last of a ranking), or barely there.
        only = (codes > 0) != (other > 0)
        self.only = int(only.sum())
        only &= torch.maximum(codes, other) > TOLERANCE * largest
        self.edge = int(only.sum())
        gap = (codes * only).sum(1) - (other * only).sum(1)
        self.gap = (gap.abs() / largest[:, 0]).max().item()
        self.rebuilt = ((rebuilt - other_rebuilt).abs().max() / rebuilt.abs().max()).item()

    def right(self):
        return self.worst <= TOLERANCE and self.gap <= TOLERANCE and self.rebuilt <= TOLERANCE and self.l0 > 1

    def text(self):
        return (f"L0 {self.l0:6.2f}  worst {self.worst:.1e}  only {self.only}  edge {self.edge}  "
                f"element {self.relative:.1e}  rebuilt {self.rebuilt:.1e}  {'ok' if self.right() else 'WRONG'}")  # fmt: skip


def decoder_norms(run):
    return load_file(run / "weights.safetensors")["decoder.weight"].norm(dim=1)


def outwards(rows, rows_file, scratch):
    wrong = 0
    for name, (encoder, losses, normalise, model, libraries) in RUNS.items():
        folder = scratch / name.replace(" ", "_").replace(",", "")
        config = folder.with_suffix(".toml")
        config.write_text(CONFIG.format(data=DATA, normalise=normalise, features=FEATURES, model=model, encoder=encoder,
                                        losses=losses))  # fmt: skip
        call(REGULON, "train", config, "--out", folder)
        mine = ours(folder, rows_file, scratch)
        for library in EVERYWHERE:
            out = folder / library
            if library not in libraries:
                message = call(REGULON, "export", folder, "--to", library, "--out", out, fails=True)
                print(f"out   {name:32} {library:20} refused: {message.strip().splitlines()[0][:80]}")
                continue
            call(REGULON, "export", folder, "--to", library, "--out", out)
            kind, *theirs = peer_saes.use(library, out, rows)
            there = Comparison(mine, theirs, decoder_norms(folder) if "free norms" in name else None)
            call(REGULON, "import", out, "--out", folder / f"{library}_back")
            back = Comparison(ours(folder / f"{library}_back", rows_file, scratch), theirs)
            wrong += not (there.right() and back.right())
            print(f"out   {name:32} {library:20} {kind:22} {there.text()}")
            print(f"      {'  and imported again':32} {library:20} {'':22} {back.text()}")
    return wrong


def peer_folders(scratch, scale, d, n):
    """(library, what, folder) of what the libraries save themselves."""
    for architecture in peer_saes.SAELENS:
        for form in ["inference", "training"]:
            for norms in [False, True]:
                what = f"{architecture}, {form}" + (", free norms" if norms else "")
                folder = scratch / f"saelens {what}"
                peer_saes.save_saelens(architecture, folder, d, n, scale, form, norms)
                yield "saelens", what, folder
    peer_saes.save_saelens("jumprelu", scratch / "saelens uncentred", d, n, scale, centered=False)
    yield "saelens", "jumprelu, b_dec not subtracted", scratch / "saelens uncentred"
    for name in peer_saes.DICTIONARY_LEARNING:
        peer_saes.save_dictionary_learning(name, scratch / name, d, n, scale)
        yield "dictionary_learning", name, scratch / name
    peer_saes.save_sparsify(scratch / "sparsify", d, n, scale)
    yield "sparsify", "topk", scratch / "sparsify"


def measures(codes, rebuilt, rows):
    """FVU, L0 and dead share, as a line of torch computes them."""
    rows, rebuilt = rows.double(), rebuilt.double()
    fvu = (rows - rebuilt).square().sum() / (rows - rows.mean(0)).square().sum()
    return [fvu.item(), (codes > 0).sum(1).double().mean().item(), (codes > 0).any(0).logical_not().double().mean().item()]


def inwards(rows, rows_file, scratch):
    wrong = 0
    for library, what, folder in peer_folders(scratch, 2.0, WIDTH, FEATURES):
        run = scratch / "run"
        shutil.rmtree(run, ignore_errors=True)
        call(REGULON, "import", folder, "--out", run)
        # The training forms of two SAELens classes rank whole batches; they are compared by their inference form.
        at = folder if not (library == "saelens" and "batchtopk, training" in what) else Path(
            str(folder).replace("training", "inference"))  # fmt: skip
        kind, *theirs = peer_saes.use(library, at, rows)
        there = Comparison(ours(run, rows_file, scratch), theirs)
        said = json.loads(call(REGULON, "eval", run, "--data", rows_file, "--json"))
        said = [said["fvu"], said["l0"], said["unused_share"]]
        expected = measures(*theirs, rows)
        agree = all(abs(a - b) <= TOLERANCE * max(abs(b), 1) for a, b in zip(said, expected))
        wrong += not (there.right() and agree)
        print(f"back  {what:36} {library:20} {kind:22} {there.text()}  FVU {said[0]:.6f} ({expected[0]:.6f})  "
              f"dead {said[2]:.4f} ({expected[2]:.4f}){'' if agree else '  EVAL DIFFERS'}")  # fmt: skip
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixtures", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if arguments.fixtures:
            return fixtures.write(scratch, call, peer_folders)
        rows = load_file(DATA / "test-00000.safetensors")["activations"].float()[:1000]
        rows_file = scratch / "rows.safetensors"
        save_file({"activations": rows}, rows_file)
        wrong = outwards(rows, rows_file, scratch) + inwards(rows, rows_file, scratch)
    print(f"{wrong} wrong" if wrong else "all agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
