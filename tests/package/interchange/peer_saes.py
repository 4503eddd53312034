"""The three libraries, each through its own loader and its own way of saving."""

import json
import os
import sys
from pathlib import Path

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "golden"))

import peers  # noqa: E402  (must come before the libraries)

# What is installed here is used; what only language models need is stood in for.
peers.STOOD_IN_FOR -= {"simple_parsing", "packaging"}
peers.STOOD_IN_FOR |= {"zstandard", "accelerate", "schedulefree"}

import torch  # noqa: E402
from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder  # noqa: E402
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.top_k import AutoEncoderTopK  # noqa: E402
from dictionary_learning.utils import load_dictionary  # noqa: E402
from sae_lens import SAE  # noqa: E402
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig  # noqa: E402
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig  # noqa: E402
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig  # noqa: E402
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig  # noqa: E402
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig  # noqa: E402
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig  # noqa: E402
from sparsify import SparseCoder, SparseCoderConfig  # noqa: E402


# ---------------------------------------------------------------- loading, as each library does it
@torch.no_grad()
def use(library, folder, rows):
    """Class, codes [B, n] and reconstruction [B, d] of `rows`, by the library's own loader, encode and decode."""
    if library == "saelens":
        sae = SAE.load_from_disk(str(folder))
        codes = sae.encode(rows)
        return type(sae).__name__, codes, sae.decode(codes)
    if library == "dictionary_learning":
        sae, _ = load_dictionary(str(folder), device="cpu")
        codes = sae.encode(rows)
        return type(sae).__name__, codes, sae.decode(codes)
    sae = SparseCoder.load_from_disk(folder)
    top = sae.encode(rows)
    codes = torch.zeros(len(rows), sae.num_latents).scatter_(1, top.top_indices, top.top_acts)
    return type(sae).__name__, codes, sae.decode(top.top_acts, top.top_indices)


# ---------------------------------------------------------------- saving, as each library does it
def fill(parameters, scale, seed):
    """Weights by name as a short training might leave them: encoder near the decoder, biases that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    decoder = next(p for name, p in parameters.items() if name in ("W_dec", "decoder.weight"))
    n, d = max(decoder.shape), min(decoder.shape)
    rows = torch.randn(n, d, generator=generator)
    rows /= rows.norm(dim=1, keepdim=True)
    encoder = rows + 0.02 * torch.randn(n, d, generator=generator)
    values = {"W_dec": rows, "decoder.weight": rows.T, "W_enc": encoder.T, "encoder.weight": encoder}
    for name, parameter in parameters.items():
        if name in values:
            parameter.copy_(values[name])  # keeps the strides that the library chose
        elif name == "threshold":
            parameter.copy_(scale * (0.5 + torch.rand(n, generator=generator)))
        elif name == "r_mag":
            parameter.copy_(0.2 * torch.randn(n, generator=generator))
        elif parameter.dim() == 1:
            parameter.copy_(0.1 * scale * torch.randn(len(parameter), generator=generator))


SAELENS = {
    "standard": (StandardTrainingSAE, StandardTrainingSAEConfig, {}),
    "topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 4}),
    "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": 4}),
    "matryoshka_batchtopk": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig, {"k": 4}),
    "jumprelu": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, {}),
    "gated": (GatedTrainingSAE, GatedTrainingSAEConfig, {}),
}


@torch.no_grad()
def save_saelens(architecture, folder, d, n, scale, form="inference", norms=False, centered=True):
    """`norms`: decoder rows of free norms, which the inference form folds where it ranks."""
    sae_class, config_class, settings = SAELENS[architecture]
    if architecture.startswith("matryoshka"):
        settings = settings | {"matryoshka_widths": [n // 4, n // 2, n]}
    sae = sae_class(config_class(d_in=d, d_sae=n, apply_b_dec_to_input=centered, **settings))
    fill(dict(sae.named_parameters()), scale, seed=len(architecture))
    if norms:
        sae.W_dec.data *= torch.linspace(0.5, 1.5, n)[:, None]
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(0.7 * scale)
    (sae.save_model if form == "training" else sae.save_inference_model)(str(folder))
    return sae


DICTIONARY_LEARNING = {
    "AutoEncoder": (AutoEncoder, {}),
    "AutoEncoderNew": (AutoEncoderNew, {}),
    "AutoEncoderTopK": (AutoEncoderTopK, {"k": 4}),
    "BatchTopKSAE": (BatchTopKSAE, {"k": 4}),
    "MatryoshkaBatchTopKSAE": (MatryoshkaBatchTopKSAE, {"k": 4}),
    "JumpReluAutoEncoder": (JumpReluAutoEncoder, {}),
    "GatedAutoEncoder": (GatedAutoEncoder, {}),
}


@torch.no_grad()
def save_dictionary_learning(name, folder, d, n, scale):
    """As trainSAE saves: a dict of the state's tensors, several of them transposed by stride, and config.json."""
    made, settings = DICTIONARY_LEARNING[name]
    more = {"group_sizes": [n // 4, n // 4, n // 2]} if name.startswith("Matryoshka") else {}
    ae = made(d, n, **settings, **more)
    fill(dict(ae.named_parameters()), scale, seed=len(name))
    if name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        ae.threshold.fill_(0.7 * scale)
    folder.mkdir(parents=True)
    torch.save({k: v.cpu() for k, v in ae.state_dict().items()}, folder / "ae.pt")
    trainer = {"dict_class": name, "activation_dim": d, "dict_size": n, "lm_name": "none"} | settings | more
    (folder / "config.json").write_text(json.dumps({"trainer": trainer}, indent=4))
    return ae


@torch.no_grad()
def save_sparsify(folder, d, n, scale):
    sae = SparseCoder(d, SparseCoderConfig(num_latents=n, k=4))
    fill(dict(sae.named_parameters()), scale, seed=3)
    sae.save_to_disk(folder)
    return sae
