"""The batches and the first weights that all cases share."""

import torch

WIDTH, FEATURES, ROWS, STEPS = 16, 48, 32, 10
WEAK = 12  # the last features fire too weakly to be among the best: they stay silent, and AuxK has work


def batches():
    """[STEPS, ROWS, WIDTH]: sparse sums of 24 directions, noise and an offset."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(24, WIDTH, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    active = torch.rand(STEPS, ROWS, 24, generator=generator) < 0.15
    strengths = 1 + 2 * torch.rand(STEPS, ROWS, 24, generator=generator)
    noise = 0.1 * torch.randn(STEPS, ROWS, WIDTH, generator=generator)
    offset = 0.3 * torch.randn(WIDTH, generator=generator)
    return (active * strengths) @ directions + noise + offset


def initial_weights(unit_norm):
    """Decoder rows (of norm one, or of norms around one), an encoder near them, and biases that are not zero."""
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(FEATURES, WIDTH, generator=generator)
    rows /= rows.norm(dim=1, keepdim=True)
    encoder = rows + 0.1 * torch.randn(FEATURES, WIDTH, generator=generator)
    encoder[-WEAK:] *= 0.15
    norms = 0.5 + torch.rand(FEATURES, 1, generator=generator)
    return {
        "encoder.weight": encoder,
        "encoder.bias": 0.05 * torch.randn(FEATURES, generator=generator),
        "decoder.weight": rows if unit_norm else rows * norms,
        "decoder.bias": 0.1 * torch.randn(WIDTH, generator=generator),
    }
