"""The environment of the interchange checks: the three libraries from PyPI, and nothing of the machine's own."""

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DEFAULT = ROOT / ".cache" / "interchange-venv"
TORCH = "torch==2.11.0"
NEEDED = ["numpy==2.4.6", "safetensors==0.8.0", "einops==0.8.2", "tqdm==4.70.1", "natsort==8.4.0", "packaging==25.0",
          "simple-parsing==0.1.7", "docstring-parser==0.17.0", "typing-extensions>=4.12"]  # fmt: skip
PEERS = ["sae-lens==6.54.12", "dictionary-learning==0.1.0", "eai-sparsify==1.3.3"]


def make(folder):
    """Installs the packages into `folder`, once. With REGULON_TORCH_DIR (the folder `torch` of another environment's
    site-packages) PyTorch is taken from there."""
    python = folder / "bin" / "python"
    stamp = folder / ".complete"
    if stamp.exists():
        return python
    print("installing the libraries into", folder, file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    torch = os.environ.get("REGULON_TORCH_DIR")
    if torch:
        code = "import site; print(site.getsitepackages()[0])"
        packages = subprocess.check_output([python, "-c", code], text=True).strip()
        (Path(packages) / "torch.pth").write_text(str(Path(torch).resolve().parent) + "\n")
    else:
        subprocess.run(install + [TORCH], check=True)
    subprocess.run(install + ["--no-deps", "--ignore-installed"] + NEEDED + PEERS, check=True)
    stamp.touch()
    return python


def enter(script):
    """Runs `script` again inside the environment unless it runs there already: --venv DIR, or REGULON_PEERS_VENV, or
    .cache/interchange-venv."""
    chosen = os.environ.get("REGULON_PEERS_VENV", str(DEFAULT))
    arguments = sys.argv[1:]
    if "--venv" in arguments:
        at = arguments.index("--venv")
        chosen = arguments[at + 1]
        del arguments[at : at + 2]
    folder = Path(chosen).resolve()
    if Path(sys.prefix).resolve() == folder:
        return
    python = make(folder) if folder == DEFAULT.resolve() else folder / "bin" / "python"
    os.execve(python, [str(python), script, *arguments], os.environ | {"REGULON_PEERS_VENV": str(folder)})
