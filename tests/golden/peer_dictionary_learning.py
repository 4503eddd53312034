"""Cases of dictionary_learning 0.1.0, each with that library's own trainer."""

from dataclasses import dataclass, field
from typing import Any

import torch
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.gdm import GatedSAETrainer
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
from dictionary_learning.trainers.standard import StandardTrainer, StandardTrainerAprilUpdate
from dictionary_learning.trainers.top_k import TopKTrainer
from toy import FEATURES, STEPS, WIDTH

LINEAR = {"encoder.weight": "encoder.weight", "encoder.bias": "encoder.bias", "decoder.weight": "decoder.weight"}
MATRICES = {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec", "decoder.bias": "b_dec"}


def common(**more):
    return {"steps": 100, "activation_dim": WIDTH, "dict_size": FEATURES, "layer": 0, "lm_name": "none",
            "warmup_steps": 0, "device": "cpu"} | more  # fmt: skip


@dataclass
class Case:
    name: str
    trainer: type
    settings: dict[str, Any]
    names: dict[str, str]  # Regulon's names to the peer's
    transposed: set[str]  # which of them the peer has as [d, n]
    unit_norm: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)  # of the trainer, set after it is made
    starts: dict[str, float] = field(default_factory=dict)  # first values beside the shared ones
    peer: str = "dictionary_learning 0.1.0"

    @property
    def class_name(self):
        return self.trainer.__name__

    def make(self, weights):
        trainer = self.trainer(**common(**self.settings))
        self.settings = common(**self.settings) | self.attributes
        for name, value in self.attributes.items():
            setattr(trainer, name, value)
        with torch.no_grad():
            for name, parameter in self.parameters(trainer).items():
                if name in weights:
                    parameter.data = self.layout(name, weights[name]).clone()
                elif name in self.starts:
                    parameter.data.copy_(self.starts[name] * torch.linspace(0.5, 1.5, FEATURES))
        return trainer

    def parameters(self, trainer):
        mine = dict(trainer.ae.named_parameters())
        return {name: mine[theirs] for name, theirs in self.names.items()}

    def layout(self, name, tensor):
        return tensor.T if name in self.transposed else tensor

    def start(self, trainer, batch):
        """Some trainers set the decoder bias to the batch's geometric median before the first step: so here, so that
        `initial` is what the first step sees. They do it again, to the same effect, in the first update."""
        median = getattr(trainer, "geometric_median", None)
        if self.trainer is TopKTrainer:
            from dictionary_learning.trainers.top_k import geometric_median as median
        if median is not None:
            trainer.ae.b_dec.data = median(batch)

    def forward(self, trainer, batch):
        log = trainer.loss(batch, step=0, logging=True)
        trainer.ae.zero_grad()
        # The log holds numbers only: the loss itself is made once more.
        return log.f, getattr(log, "x_hat", getattr(log, "recon", None)), trainer.loss(batch, step=0)

    def update(self, trainer, step, batch):
        losses = []
        loss = type(trainer).loss

        def recorded(*args, **kwargs):
            losses.append(loss(trainer, *args, **kwargs))
            return losses[-1]

        trainer.loss = recorded
        trainer.update(step, batch)
        return losses[-1].item()

    def extra(self, trainer):
        threshold = getattr(trainer.ae, "threshold", None)
        if threshold is None or isinstance(threshold, torch.nn.Parameter):
            return {}
        return {"final.activation.threshold": torch.as_tensor(threshold).reshape(1)}


TOP_K = {"k": 4, "lr": 1e-3, "threshold_start_step": -1}
DEAD_AFTER = {"dead_feature_threshold": 160}
WITH_BIAS = LINEAR | {"decoder.bias": "b_dec"}
TRANSPOSED = {"decoder.weight"}
GATED = {"encoder.weight": "encoder.weight", "encoder.gate_bias": "gate_bias", "encoder.magnitude_bias": "mag_bias",
         "encoder.log_scale": "r_mag", "decoder.weight": "decoder.weight",
         "decoder.bias": "decoder_bias"}  # fmt: skip
GATED_STARTS = {"encoder.gate_bias": 0.05, "encoder.magnitude_bias": -0.05, "encoder.log_scale": 0.1}

CASES = [
    Case("dictionary_learning_standard", StandardTrainer,
         {"l1_penalty": 0.1, "lr": 1e-3, "sparsity_warmup_steps": None}, LINEAR | {"decoder.bias": "bias"}, TRANSPOSED),
    Case("dictionary_learning_april", StandardTrainerAprilUpdate,
         {"l1_penalty": 0.1, "lr": 1e-3, "sparsity_warmup_steps": None}, LINEAR | {"decoder.bias": "bias"}, TRANSPOSED,
         unit_norm=False),
    Case("dictionary_learning_topk", TopKTrainer, TOP_K, WITH_BIAS, TRANSPOSED, attributes=DEAD_AFTER),
    Case("dictionary_learning_batch_topk", BatchTopKTrainer, TOP_K, WITH_BIAS, TRANSPOSED, attributes=DEAD_AFTER),
    Case("dictionary_learning_matryoshka", MatryoshkaBatchTopKTrainer,
         TOP_K | {"group_fractions": [0.25, 0.25, 0.5]}, MATRICES, {"encoder.weight"}, attributes=DEAD_AFTER),
    # Without its L0 penalty: that one lets only features above theta pull at theta, and aims at a number of them.
    Case("dictionary_learning_jumprelu", JumpReluTrainer,
         {"lr": 1e-3, "bandwidth": 0.2, "sparsity_penalty": 0.0, "sparsity_warmup_steps": None},
         MATRICES | {"activation.threshold": "threshold"}, {"encoder.weight"}, starts={"activation.threshold": 0.3}),
    Case("dictionary_learning_gated", GatedSAETrainer,
         {"l1_penalty": 0.1, "lr": 1e-3, "sparsity_warmup_steps": None}, GATED, TRANSPOSED, starts=GATED_STARTS),
]  # fmt: skip
