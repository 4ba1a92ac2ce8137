"""A small run is mostly its start: what it does not use is not imported."""

from __future__ import annotations

import subprocess
import sys

# Seconds each; some are extras, and a run needs none of them.
UNUSED = (
    "lightning", "pytorch_lightning", "dask", "distributed", "matplotlib", "sklearn", "scipy.stats", "cv2",
    "timm", "torchvision", "sympy", "transformers", "onnxruntime", "jinja2", "bokeh", "torch._dynamo",
)  # fmt: skip

RUN = """
import sys
from bench.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sorted(set({unused!r}) & set(sys.modules)), file=sys.stderr)
"""


def test_a_run_imports_nothing_that_it_does_not_use(tree, tmp_path):
    suite = tmp_path / "mini.toml"
    suite.write_text(
        'name = "mini"\ndescription = "."\nslices = ["generator"]\n'
        'conditions = ["clean", "jpeg(quality=50)", "resize(scale=0.5)", "noise(sigma=0.1)"]\n'
    )
    run = ["run", "-d", "genimage-cnn", "-s", str(suite), "--data", str(tree), "--no-audit", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(unused=UNUSED), *run, "-o", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "", f"imported: {done.stderr.splitlines()[-1]}"
    assert done.stdout
