#!/usr/bin/env python3
"""Times the training steps of SAELens, dictionary_learning and sparsify beside `regulon bench step`.

    python3 tests/bench/peers/bench_peers.py                      every size and architecture: about two hours on two cores
    python3 tests/bench/peers/bench_peers.py --sizes 4096,384,8192,32 --architectures topk topk_auxk --rounds 3
    python3 tests/bench/peers/bench_peers.py --table              prints the table of what was measured before

Needs a built program (./regulon setup). The first call makes .cache/peers-venv with the pinned versions below; with
REGULON_TORCH_DIR (the folder `torch` of another Python 3 environment's site-packages) PyTorch is taken from there. The
peers come without the packages that they only need to run language models: see tests/golden/peers.py.

How it measures. Each peer's own loop runs (sparsify's Trainer.fit, SAELens's SAETrainer.fit; dictionary_learning's
trainer.update, which is all that its loop does): batch in, forward, loss, backward, clipping, optimiser, normalisation
and its bookkeeping. A step lasts from one request for a batch to the next. Rows are those of the program's toy.general,
the same as in `regulon bench step`: sums of k out of 4 d known features. Everything is float32 on --threads threads.
Processes run in turn: regulon, peer, regulon, peer, ... Between the steps each process times one float32 product
[B, d] x [d, n] into a kept buffer; a ratio is a step over the product before it. Figures are medians over the steps of
all rounds. A run in which the product took much longer than in the quickest one of this size was disturbed by something
else on the machine, and is done again, up to three times. Memory is the peak of a process before that buffer was made, and in brackets what it was after the imports.
Allocators: first each peer's first architecture runs once under each setting of ALLOCATORS that is there (jemalloc and
tcmalloc are Debian's libjemalloc2 and libtcmalloc-minimal4); the quickest one is that peer's for this size.
Dead features: one in ten counts as silent for long, and has its encoder weights made so small that it is never chosen,
as `--dead 0.1` does. JumpReLU, ReLU + L1 and Gated run at 50 active features a row here; for the peers, which treat
codes as dense there, the number does not matter. All results go to --results, one JSON object a line. What is in there is
not measured again: a call that was interrupted goes on where it was. Delete the file to start afresh.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VENV = ROOT / ".cache" / "peers-venv"
TORCH = "torch==2.11.0"
NEEDED = ["numpy==2.4.6", "safetensors==0.8.0", "einops==0.8.2", "tqdm==4.70.1", "natsort==8.4.0", "schedulefree==1.4.1",
          "simple-parsing==0.1.7", "docstring-parser==0.17.0", "typing-extensions>=4.12"]  # fmt: skip
PEERS = {"sae_lens": "sae-lens==6.54.12", "dictionary_learning": "dictionary-learning==0.1.0",
         "sparsify": "eai-sparsify==1.3.3"}  # fmt: skip

SIZES = ["4096,384,8192,32", "4096,768,16384,64", "2048,768,32768,32"]  # batch, width, features, k
DENSE_L0 = 50
# How `regulon bench step` is asked for each architecture.
AUXK = ["--loss", "mse", "--loss", "auxk", "--dead", "0.1"]
ARCHITECTURES = {
    "topk": [],
    "topk_auxk": AUXK,
    "batch_topk": ["--activation", "batch_topk"],
    "batch_topk_auxk": ["--activation", "batch_topk"] + AUXK,
    "jumprelu": ["--activation", "jumprelu", "--loss", "mse", "--loss", "l0"],
    "relu_l1": ["--activation", "relu", "--loss", "mse", "--loss", "l1"],
    "gated": ["--encoder", "gated", "--activation", "relu", "--loss", "mse", "--loss", "gated_auxiliary", "--loss",
              "gate_l1", "--set", f"encoder.initial_l0={DENSE_L0}"],
}  # fmt: skip
DENSE = {"jumprelu", "relu_l1", "gated"}
# Variants of a peer, each a row of its own: other settings that its users may choose.
VARIANTS = {
    "sparsify": {"topk": ["signum", "adam"], "topk_auxk": ["signum", "adam"]},
    "sae_lens": {"topk": ["dense", "sparse"], "topk_auxk": ["dense", "sparse"], "batch_topk": [""],
                 "batch_topk_auxk": [""], "jumprelu": [""], "relu_l1": [""], "gated": [""]},
    "dictionary_learning": {name: [""] for name in ARCHITECTURES},
}  # fmt: skip


def preload(name, **more):
    found = sorted(glob.glob(f"/usr/lib/*/lib{name}.so.*"))
    return {"LD_PRELOAD": found[0], **more} if found else None


KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28)}
ALLOCATORS = {
    "default": {},
    "kept": KEPT,  # glibc's, which then gives no memory back
    "kept, huge pages": KEPT | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "jemalloc": preload("jemalloc", MALLOC_CONF="dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0"),
    "tcmalloc": preload("tcmalloc_minimal", TCMALLOC_RELEASE_RATE="0"),
}


# ---------------------------------------------------------------- the environment
def make_venv():
    """The pinned packages, once. Returns its Python."""
    python = VENV / "bin" / "python"
    stamp = VENV / ".complete"
    if not stamp.exists():
        print("installing the peers into", VENV, file=sys.stderr)
        venv.create(VENV, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        torch = os.environ.get("REGULON_TORCH_DIR")
        if torch:
            packages = subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True)
            (Path(packages.strip()) / "torch.pth").write_text(str(Path(torch).resolve().parent) + "\n")
        else:
            subprocess.run(install + [TORCH], check=True)
        subprocess.run(install + ["--no-deps", "--ignore-installed"] + NEEDED + list(PEERS.values()), check=True)
        stamp.touch()
    return python


# ---------------------------------------------------------------- inside a process of a peer
class Enough(Exception):
    """Ends a peer's own loop."""


class Meter:
    """Is asked for every batch, and so sees where a step ends and the next one begins."""

    def __init__(self, job, batches, imported_mib):
        import torch

        self.torch, self.job, self.batches = torch, job, batches
        self.asked = 0
        self.steps, self.floors = [], []
        self.result = {"imported_mib": imported_mib, "torch": torch.__version__}

    def floor(self):
        began = time.perf_counter()
        self.torch.mm(self.left, self.right, out=self.product)
        return time.perf_counter() - began

    def batch(self):
        now = time.perf_counter()
        warm_up = self.job["warm_up"]
        if self.asked == warm_up:
            batch, width, features, _ = self.job["size"]
            self.result["peak_mib"] = peak_mib()
            self.left = self.torch.randn(batch, width)
            self.right = self.torch.randn(features, width).t()
            self.product = self.torch.empty(batch, features)
            self.began = now
            self.floor()
        elif self.asked > warm_up:
            self.steps.append(now - self.began)
            if len(self.steps) >= 3 and sum(self.steps) + sum(self.floors) > self.job["seconds"]:
                raise Enough
        if self.asked >= warm_up:
            with self.torch.no_grad():
                self.floors.append(self.floor())
        self.asked += 1
        self.began = time.perf_counter()
        return self.batches[self.asked % len(self.batches)]

    def __iter__(self):
        return self

    __next__ = batch


def peak_mib():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def dead_ids(job):
    import torch

    features = job["size"][2]
    count = round(features * 0.1) if job["architecture"].endswith("auxk") else 0
    return torch.arange(count) * features // max(count, 1)


LONG = 10**12  # rows or steps without activity
FAINT = 0.05


def run_sparsify(job, meter):
    import sparsify.trainer
    import sparsify.utils
    import torch

    def linear_schedule(optimizer, warm_up, steps):  # as transformers has it
        def rate(step):
            return step / max(1, warm_up) if step < warm_up else max(0.0, (steps - step) / max(1, steps - warm_up))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    sparsify.trainer.get_linear_schedule_with_warmup = linear_schedule
    sparsify.utils.send_to_device = lambda tensors, device: tensors
    batch, width, features, k = job["size"]

    class Model(torch.nn.Module):
        """A language model of one layer, whose output are the rows."""

        device = torch.device("cpu")
        dummy_inputs = {"input_ids": None}

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Identity()

        @property
        def base_model(self):
            return self

        def forward(self, input_ids):
            return self.layer(torch.zeros(1, 1, width) if input_ids is None else meter.batch()[None])

    class Data(torch.utils.data.Dataset):
        ids = torch.zeros(batch, dtype=torch.long)

        def __len__(self):
            return 100_000

        def __getitem__(self, index):
            return {"input_ids": self.ids}

    auxk = 1 / 32 if job["architecture"] == "topk_auxk" else 0.0
    coder = sparsify.SparseCoderConfig(num_latents=features, k=k)
    config = sparsify.TrainConfig(coder, batch_size=1, optimizer=job["variant"], auxk_alpha=auxk, hookpoints=["layer"],
                                  log_to_wandb=False, save_every=10**9)  # fmt: skip
    trainer = sparsify.Trainer(config, Data(), Model())
    trainer.save = lambda: None
    ids = dead_ids(job)
    trainer.saes["layer"].encoder.weight.data[ids] *= FAINT
    trainer.num_tokens_since_fired["layer"][ids] = LONG
    trainer.fit()


def run_sae_lens(job, meter):
    from sae_lens import saes
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    batch, width, features, k = job["size"]
    top_k = {"k": k}
    if job["variant"] == "sparse":  # fails in its backward pass together with rescaling
        top_k |= {"use_sparse_activations": True, "rescale_acts_by_decoder_norm": False}
    kinds = {
        "topk": ("TopK", top_k),
        "batch_topk": ("BatchTopK", top_k),
        "jumprelu": ("JumpReLU", {"l0_coefficient": 1.0}),
        "relu_l1": ("Standard", {"l1_coefficient": 1.0}),
        "gated": ("Gated", {"l1_coefficient": 1.0}),
    }
    name, settings = kinds[job["architecture"].removesuffix("_auxk")]
    config = getattr(saes, name + "TrainingSAEConfig")(d_in=width, d_sae=features, **settings)
    sae = getattr(saes, name + "TrainingSAE")(config)
    training = SAETrainerConfig(total_training_samples=batch * 100_000, train_batch_size_samples=batch, lr_end=3e-4)
    trainer = SAETrainer(training, sae, meter)
    ids = dead_ids(job)
    sae.W_enc.data[:, ids] *= FAINT
    trainer.n_forward_passes_since_fired[ids] = LONG
    trainer.fit()


def run_dictionary_learning(job, meter):
    from dictionary_learning.trainers import (
        BatchTopKTrainer,
        GatedSAETrainer,
        JumpReluTrainer,
        StandardTrainer,
        TopKTrainer,
    )

    _, width, features, k = job["size"]
    top_k = {"k": k, "threshold_start_step": 0}  # by default later; but most of a run is after that
    kinds = {"topk": (TopKTrainer, top_k), "batch_topk": (BatchTopKTrainer, top_k), "jumprelu": (JumpReluTrainer, {}),
             "relu_l1": (StandardTrainer, {}), "gated": (GatedSAETrainer, {})}  # fmt: skip
    make, settings = kinds[job["architecture"].removesuffix("_auxk")]
    trainer = make(steps=100_000, activation_dim=width, dict_size=features, layer=0, lm_name="none", device="cpu",
                   **settings)  # fmt: skip
    ids = dead_ids(job)
    if len(ids):
        trainer.ae.encoder.weight.data[ids] *= FAINT
        trainer.num_tokens_since_fired[ids] = LONG
    for step, batch in enumerate(meter):
        trainer.update(step, batch)


def child(job):
    """Runs one peer, and prints what was measured as one line of JSON."""
    sys.path.insert(0, str(ROOT / "tests" / "golden"))
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # read at import; its kernels are for GPUs
    import torch

    import peers

    peers.STOOD_IN_FOR -= {"simple_parsing"}
    peers.STOOD_IN_FOR |= {"accelerate"}
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    from safetensors.torch import load_file

    __import__(job["peer"])
    imported = peak_mib()
    batches = list(load_file(job["data"])["activations"].split(job["size"][0]))
    meter = Meter(job, batches, imported)
    try:
        globals()["run_" + job["peer"]](job, meter)
    except Enough:
        pass
    meter.result["steps_ms"] = [1e3 * seconds for seconds in meter.steps]
    meter.result["floors_ms"] = [1e3 * seconds for seconds in meter.floors[: len(meter.steps)]]
    print(json.dumps(meter.result))


# ---------------------------------------------------------------- the round
def make_data(program, size, k, folder):
    """Four batches of rows, as `regulon bench step` makes them for itself."""
    out = folder / f"{size[1]}-{k}"
    if not out.exists():
        config = folder / "data.toml"
        config.write_text(
            f'[run]\nsteps = 1\n[data]\nsource = "toy.general"\nbatch = {size[0]}\nwidth = {size[1]}\n'
            f"features = {4 * size[1]}\np = {k / (4 * size[1])}\n"
            '[model]\nfeatures = 16\n[encoder]\nplugin = "linear"\n[[loss]]\nplugin = "mse"\n'
        )
        subprocess.run([program, "data", config, "--rows", str(4 * 4096), "--out", out], check=True, stdout=sys.stderr)
    return next(out.glob("train-*.safetensors"))


class Runner:
    """Runs processes, and knows how quick the product of a size can be."""

    DISTURBED = 1.35

    def __init__(self, under):
        self.under, self.best_floor = under, {}

    def once(self, command, environment):
        ended = subprocess.run(self.under + [str(word) for word in command], env=os.environ | environment, text=True,
                               capture_output=True)  # fmt: skip
        if ended.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))[:300]}\n{ended.stderr[-1500:]}")
        return json.loads(ended.stdout[ended.stdout.index("{") :])

    def run(self, size, command, environment=None):
        """Its result with floor_ms, the best of up to four tries."""
        tries = []
        for _ in range(4):
            result = self.once(command, environment or {})
            if "floors_ms" in result:
                result["floor_ms"] = statistics.median(result["floors_ms"])
            tries.append(result)
            best = min(self.best_floor.get(tuple(size), float("inf")), result["floor_ms"])
            self.best_floor[tuple(size)] = best
            if result["floor_ms"] <= self.DISTURBED * best:
                break
        return min(tries, key=lambda result: result["floor_ms"])


def run_regulon(arguments, size, architecture, k):
    batch, width, features, _ = size
    command = [arguments.program, "bench", "step", "--json", "--threads", arguments.threads, "--batch", batch, "--width",
               width, "--features", features, "--k", k, "--steps", 9] + ARCHITECTURES[architecture]  # fmt: skip
    return arguments.runner.run(size, command)


def run_peer(arguments, python, job, allocator):
    environment = ALLOCATORS[allocator] | {"OMP_NUM_THREADS": str(arguments.threads), "CUDA_VISIBLE_DEVICES": ""}
    command = [python, HERE / "bench_peers.py", "--child", json.dumps(job)]
    result = arguments.runner.run(job["size"], command, environment)
    ratios = [step / floor for step, floor in zip(result["steps_ms"], result["floors_ms"])]
    return result | {"step_ms": statistics.median(result["steps_ms"]), "ratio": statistics.median(ratios)}


def best_allocator(arguments, python, job, note):
    """The quickest setting for this peer, by one short run each."""
    if len(arguments.allocators) == 1:
        return arguments.allocators[0]
    seen = {}
    for name in arguments.allocators:
        seen[name] = run_peer(arguments, python, job | {"seconds": arguments.seconds / 2}, name)["ratio"]
    note(f"    {job['peer']} {job['variant']}: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in seen.items()))
    return min(seen, key=seen.get)


def key_of(job):
    return (tuple(job["size"]), job["architecture"], job["peer"], job["variant"])


def measure(arguments):
    python = make_venv()
    arguments.runner = Runner(arguments.under)
    results = Path(arguments.results)
    results.parent.mkdir(parents=True, exist_ok=True)

    def keep(record):
        with results.open("a") as stream:
            stream.write(json.dumps(record) + "\n")

    def note(text):
        print(text, file=sys.stderr, flush=True)

    lines = results.read_text().splitlines() if results.exists() else []
    done = {key_of(record): record for record in map(json.loads, lines) if "error" not in record}
    with tempfile.TemporaryDirectory() as folder:
        for text in arguments.sizes:
            size = [int(number) for number in text.split(",")]
            chosen = {}
            for architecture in arguments.architectures:
                k = DENSE_L0 if architecture in DENSE else size[3]
                data = make_data(arguments.program, size, k, Path(folder))
                note(f"{text} {architecture}")
                for peer in [name for name in arguments.peers if architecture in VARIANTS[name]]:
                    for variant in VARIANTS[peer][architecture]:
                        job = {"peer": peer, "variant": variant, "architecture": architecture, "size": size, "warm_up": 2,
                               "data": str(data), "threads": arguments.threads, "seconds": arguments.seconds}  # fmt: skip
                        if key_of(job) in done:
                            chosen.setdefault(peer, done[key_of(job)]["allocator"])
                            continue
                        try:
                            if peer not in chosen:
                                chosen[peer] = best_allocator(arguments, python, job, note)
                            rounds = []
                            for _ in range(arguments.rounds):
                                mine = run_regulon(arguments, size, architecture, k)
                                theirs = run_peer(arguments, python, job, chosen[peer])
                                rounds.append((mine, theirs))
                        except RuntimeError as error:  # a peer that fails is a row of the table, not the end
                            note(str(error))
                            keep(job | {"error": str(error).strip().splitlines()[-1]})
                            continue
                        keep(job | {"allocator": chosen[peer], "rounds": rounds})
                        note(f"    {peer} {variant}: {rounds[-1][1]['ratio']:.2f}, regulon {rounds[-1][0]['ratio']:.2f}")


def print_table(path):
    names = {peer: pin.replace("==", " ") for peer, pin in PEERS.items()}
    print("| B, d, n, k | architecture | library | step, ms | in products | peak, MiB | regulon, ms | in products | "
          "peak, MiB | ahead by |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    order = list(ARCHITECTURES)
    for record in sorted(records, key=lambda one: (one["size"][1:], order.index(one["architecture"]), one["peer"])):
        label = names[record["peer"]] + (f", {record['variant']}" if record["variant"] else "")
        start = f"| {', '.join(map(str, record['size']))} | {record['architecture']} | {label}"
        if "error" in record:
            print(f"{start} | {record['error']} | | | | | | |")
            continue
        mine, theirs = zip(*record["rounds"])

        def middle(results, key):
            return statistics.median(result[key] for result in results)

        print(f"{start}, {record['allocator']} | {middle(theirs, 'step_ms'):.0f} | {middle(theirs, 'ratio'):.2f} | "
              f"{middle(theirs, 'peak_mib'):.0f} ({middle(theirs, 'imported_mib'):.0f}) | {middle(mine, 'step_ms'):.0f} | "
              f"{middle(mine, 'ratio'):.2f} | {middle(mine, 'peak_mib'):.0f} | "
              f"{middle(theirs, 'ratio') / middle(mine, 'ratio'):.1f} |")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="B,d,n,k")
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    there = [name for name, settings in ALLOCATORS.items() if settings is not None]
    parser.add_argument("--allocators", nargs="+", default=there, choices=there)
    parser.add_argument("--rounds", type=int, default=3, help="times that regulon and peer take turns")
    parser.add_argument("--seconds", type=float, default=15, help="of measured steps in each process of a peer, at least")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--under", type=str.split, default=[], help="command that every measured process runs under")
    parser.add_argument("--program", default=str(ROOT / "build" / "regulon"))
    parser.add_argument("--results", default=str(ROOT / ".cache" / "bench_peers.jsonl"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    if not arguments.table:
        measure(arguments)
    print_table(arguments.results)


if __name__ == "__main__":
    main()
