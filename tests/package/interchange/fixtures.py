"""Fixtures for the unit tests: both directions, small, with what the libraries made of them.

tests/golden/interchange/from/LIBRARY WHAT/   files that the library saved, and expected.safetensors: rows, codes,
                                              reconstruction of its own encode and decode
tests/golden/interchange/to/NAME/             a run; per library the files that were exported from it, which the library
                                              loaded, and LIBRARY.safetensors: its codes and reconstruction of rows
"""

import json
import shutil

import environment
import peer_saes
import torch
from safetensors.torch import save_file

FOLDER = environment.ROOT / "tests" / "golden" / "interchange"
REGULON = environment.ROOT / "build" / "regulon"
WIDTH, FEATURES, ROWS = 12, 24, 24


def rows():
    generator = torch.Generator().manual_seed(5)
    directions = torch.randn(16, WIDTH, generator=generator)
    active = (torch.rand(ROWS, 16, generator=generator) < 0.2) * (1 + 2 * torch.rand(ROWS, 16, generator=generator))
    return active @ directions + 0.2 * torch.randn(WIDTH, generator=generator)


LOSS = {"plugin": "mse", "name": "mse"}
# name: [encoder], the activation's tensors, scale and mean of the normalisation, unit norms, loss, libraries
BOTH = ["saelens", "dictionary_learning"]
ALL = BOTH + ["sparsify"]
LINEAR = {"plugin": "linear"}
GATED = {"plugin": "gated"}
ONE = {"activation.threshold": torch.tensor([0.7]), "activation.seen": torch.ones(1)}
RUNS = {
    "standard": (LINEAR, {}, 1.0, False, True, LOSS, BOTH),
    "standard_normalised": (LINEAR, {}, 1.7, True, True, LOSS, BOTH),
    "tied": (LINEAR | {"tied": True}, {}, 0.6, False, True, LOSS, BOTH),
    "uncentred": (LINEAR | {"subtract_decoder_bias": False}, {}, 1.7, True, True, LOSS, BOTH),
    "topk": (LINEAR | {"activation": "topk", "k": 4}, {}, 1.7, True, True, LOSS, ALL),
    "topk_plain": (LINEAR | {"activation": "topk", "k": 4}, {}, 1.0, False, True, LOSS, ALL),
    "topk_free_norms": (LINEAR | {"activation": "topk", "k": 4, "rescale_by_decoder_norm": True}, {}, 1.7, False, False,
                        LOSS, ALL),
    "batch_topk": (LINEAR | {"activation": "batch_topk", "k": 4}, ONE, 1.7, True, True, LOSS, BOTH),
    "batch_topk_free_norms": (LINEAR | {"activation": "batch_topk", "k": 4, "rescale_by_decoder_norm": True}, ONE, 1.7,
                              True, False, LOSS, BOTH),
    "jumprelu": (LINEAR | {"activation": "jumprelu"}, {"activation.log_threshold": torch.linspace(-2, 0, FEATURES)}, 1.7,
                 True, True, LOSS, BOTH),
    "gated": (GATED, {}, 1.7, True, True, LOSS, BOTH),
    "gated_uncentred": (GATED | {"subtract_decoder_bias": False, "activation": "jumprelu", "learn": "linear"},
                        {"activation.threshold": torch.linspace(0, 0.6, FEATURES)}, 0.6, True, True, LOSS, BOTH),
    "matryoshka": (LINEAR | {"activation": "batch_topk", "k": 4}, ONE, 1.0, False, True,
                   {"plugin": "matryoshka", "name": "matryoshka", "widths": [6, 12]}, BOTH),
}  # fmt: skip


def weights(encoder, activation, scale, mean, unit_norm):
    generator = torch.Generator().manual_seed(9)
    decoder = torch.randn(FEATURES, WIDTH, generator=generator)
    decoder /= decoder.norm(dim=1, keepdim=True)
    directions = decoder + 0.1 * torch.randn(FEATURES, WIDTH, generator=generator)
    if not unit_norm:
        decoder = decoder * torch.linspace(0.5, 1.5, FEATURES)[:, None]
    bias = 0.2 * torch.randn(FEATURES, generator=generator)
    tensors = {
        "decoder.weight": decoder,
        "decoder.bias": 0.3 * torch.randn(WIDTH, generator=generator),
        "feature_costs": torch.ones(FEATURES),
        "normalisation.scale": torch.tensor(scale, dtype=torch.float64),
    }
    if mean:
        tensors["normalisation.mean"] = 0.4 * torch.randn(WIDTH, generator=generator)
    if not encoder.get("tied"):
        tensors["encoder.weight"] = directions
    if encoder["plugin"] == "gated":
        tensors["encoder.gate_bias"] = bias
        tensors["encoder.magnitude_bias"] = 0.1 * torch.randn(FEATURES, generator=generator)
        tensors["encoder.log_scale"] = 0.2 * torch.randn(FEATURES, generator=generator)
    else:
        tensors["encoder.bias"] = bias
    return tensors | activation


def write_run(folder, encoder, activation, scale, mean, unit_norm, loss):
    folder.mkdir(parents=True)
    config = {"run": {"name": folder.name}, "data": {"source": "toy.pairs"},
              "model": {"features": FEATURES, "unit_norm": unit_norm}, "encoder": encoder, "loss": [loss],
              "file": f"{folder.name}.toml"}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"config": config}, indent=1) + "\n")
    (folder / "summary.json").write_text("{}\n")
    save_file(weights(encoder, activation, scale, mean, unit_norm), folder / "weights.safetensors")


def write_to(call):
    for name, (*run, libraries) in RUNS.items():
        folder = FOLDER / "to" / name
        write_run(folder, *run)
        for library in libraries:
            call(REGULON, "export", folder, "--to", library, "--out", folder / library)
            kind, codes, rebuilt = peer_saes.use(library, folder / library, rows())
            save_file({"codes": codes.contiguous(), "reconstruction": rebuilt.contiguous()},
                      folder / f"{library}.safetensors", {"class": kind})  # fmt: skip


def write_from(scratch, peer_folders):
    for library, what, folder in peer_folders(scratch, 1.0, WIDTH, FEATURES):
        # What ranks whole batches in its training form is compared by its inference form.
        at = folder
        if library == "saelens" and "batchtopk, training" in what:
            at = folder.with_name(folder.name.replace("training", "inference"))
        kind, codes, rebuilt = peer_saes.use(library, at, rows())
        into = FOLDER / "from" / f"{library}_{what}".replace(", ", "_").replace(" ", "_")
        shutil.copytree(folder, into)
        save_file({"codes": codes.contiguous(), "reconstruction": rebuilt.contiguous()}, into / "expected.safetensors",
                  {"class": kind})  # fmt: skip


def write(scratch, call, peer_folders):
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    save_file({"activations": rows()}, FOLDER / "rows.safetensors")
    write_from(scratch, peer_folders)
    write_to(call)
    print("written:", FOLDER)
    return 0
