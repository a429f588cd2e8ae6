"""pctnode: a DICOM node that turns MR series into synthetic CT for radiotherapy planning."""

import os
from importlib.metadata import PackageNotFoundError, version

# Read when numpy is imported. The threads of its matrix library wait by spinning: where cores are
# shared they cost five times what they do. `node.infer.shapes` shares work out itself.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    __version__ = version("pctnode")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0+uninstalled"
