"""Cases of SAELens 6.54.12, each with that library's own trainer. Decoder norms are free there."""

from dataclasses import dataclass, field
from typing import Any

import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
from sae_lens.saes.sae import TrainStepInput
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer
from toy import FEATURES, ROWS, WIDTH

NAMES = {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec", "decoder.bias": "b_dec"}
TRAINING = {"total_training_samples": 100 * ROWS, "train_batch_size_samples": ROWS, "lr": 1e-3, "lr_end": 1e-3}


@dataclass
class Case:
    name: str
    sae: type
    config: type
    settings: dict[str, Any]
    names: dict[str, str] = field(default_factory=lambda: NAMES)
    unit_norm: bool = False
    starts: dict[str, float] = field(default_factory=dict)
    peer: str = "sae-lens 6.54.12"

    @property
    def class_name(self):
        return self.sae.__name__

    def make(self, weights):
        sae = self.sae(self.config(d_in=WIDTH, d_sae=FEATURES, **self.settings))
        trainer = SAETrainer(SAETrainerConfig(**TRAINING), sae, None)
        self.settings = self.settings | TRAINING
        with torch.no_grad():
            for name, parameter in self.parameters(trainer).items():
                if name in weights:
                    parameter.data = self.layout(name, weights[name]).clone()
                elif name in self.starts:
                    parameter.data.copy_(self.starts[name] * torch.linspace(0.5, 1.5, FEATURES))
        return trainer

    def parameters(self, trainer):
        mine = dict(trainer.sae.named_parameters())
        return {name: mine[theirs] for name, theirs in self.names.items()}

    def layout(self, name, tensor):
        return tensor.T if name == "encoder.weight" else tensor

    def start(self, trainer, batch):
        pass

    def forward(self, trainer, batch):
        output = trainer.sae.training_forward_pass(
            TrainStepInput(batch, trainer.get_coefficients(), trainer.dead_neurons, 0, False)
        )
        return output.feature_acts, output.sae_out, output.loss

    def update(self, trainer, step, batch):
        output = trainer.step(batch)
        trainer.n_training_steps += 1
        return output.loss.item()

    def extra(self, trainer):
        threshold = getattr(trainer.sae, "topk_threshold", None)
        return {} if threshold is None else {"final.activation.threshold": threshold.float().reshape(1)}


TOP_K = {"k": 4, "aux_loss_coefficient": 0.0, "rescale_acts_by_decoder_norm": True}
GATED = {"encoder.weight": "W_enc", "encoder.gate_bias": "b_gate", "encoder.magnitude_bias": "b_mag",
         "encoder.log_scale": "r_mag", "decoder.weight": "W_dec", "decoder.bias": "b_dec"}  # fmt: skip
GATED_STARTS = {"encoder.gate_bias": 0.05, "encoder.magnitude_bias": -0.05, "encoder.log_scale": 0.1}
JUMP = {"jumprelu_bandwidth": 0.2, "jumprelu_init_threshold": 0.3, "l0_coefficient": 0.1}
WITH_THRESHOLD = NAMES | {"activation.threshold": "threshold"}

CASES = [
    Case("sae_lens_standard", StandardTrainingSAE, StandardTrainingSAEConfig, {"l1_coefficient": 0.1}),
    Case("sae_lens_topk", TopKTrainingSAE, TopKTrainingSAEConfig, TOP_K),
    Case("sae_lens_batch_topk", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, TOP_K | {"topk_threshold_lr": 0.25}),
    Case("sae_lens_matryoshka", MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig,
         TOP_K | {"matryoshka_widths": [12, 24, 48]}),
    Case("sae_lens_jumprelu", JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, JUMP, WITH_THRESHOLD,
         starts={"activation.threshold": 0.3}),
    Case("sae_lens_jumprelu_to_input", JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig,
         JUMP | {"jumprelu_ste_to_input": True}, WITH_THRESHOLD, starts={"activation.threshold": 0.3}),
    Case("sae_lens_gated", GatedTrainingSAE, GatedTrainingSAEConfig, {"l1_coefficient": 0.1}, GATED,
         starts=GATED_STARTS),
]  # fmt: skip
