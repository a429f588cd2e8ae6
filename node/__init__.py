"""pctnode: a DICOM node that turns MR series into synthetic CT for radiotherapy planning."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pctnode")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.0.0+uninstalled"
