"""Finding real tools: a missing one skips on a laptop and fails where peers are required."""

import shutil

import pytest

# Debian keeps some servers out of a user's PATH.
_ALSO = "/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin"
_PACKAGES = {
    "storescu": "dcmtk",
    "storescp": "dcmtk",
    "echoscu": "dcmtk",
    "dcmsend": "dcmtk",
    "findscu": "dcmtk",
    "movescu": "dcmtk",
    "getscu": "dcmtk",
    "dcmqrscp": "dcmtk",
    "dcmdump": "dcmtk",
    "dciodvfy": "dicom3tools",
    "Orthanc": "orthanc",
    "strace": "strace",
    "chromium": "chromium",
    "plastimatch": "plastimatch",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "pg_isready": "postgresql",
    "pg_dump": "postgresql",
    "psql": "postgresql",
    "setpriv": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "pg_basebackup": "postgresql",
    "umount": "mount",
}


class Policy:
    """Whether a missing tool is a failure; set once from the command line."""

    required = False


def find_tool(name: str) -> str | None:
    """Path of an installed program, or None."""
    return shutil.which(name) or shutil.which(name, path=_ALSO)


def need_tool(name: str) -> str:
    """Path of an installed program; without it the test skips, or fails with --require-peers."""
    path = find_tool(name)
    if path is None:
        missing(f"{name} is not installed (Debian package {_PACKAGES.get(name, name)})")
    return str(path)


def missing(sentence: str) -> None:
    """Skip the test for want of a peer, or fail it with --require-peers."""
    if Policy.required:
        pytest.fail(f"{sentence}, and --require-peers was given", pytrace=False)
    pytest.skip(sentence)
