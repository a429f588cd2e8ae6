"""Who vouches for a model: a signature of its manifest by a key the site trusts (Ed25519).

The manifest holds the hash of the network, so that a signature of it covers both. Without trusted
keys nothing is asked for; with them a model without a good signature does not exist.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from node.domain.errors import Misconfigured

SIGNATURE = "manifest.json.sig"
_LENGTH = 64  # RFC 8032 5.1.6


def read_keys(files: Sequence[Path]) -> tuple[Ed25519PublicKey, ...]:
    """The site's trusted keys; `Misconfigured` names the file that is none."""
    return tuple(_read_key(file) for file in files)


def require_signed(path: Path, manifest: bytes, trusted: Sequence[Ed25519PublicKey]) -> None:
    """Raise `Misconfigured` unless one of ``trusted`` has signed ``manifest``, that of ``path``."""
    signature = _signature(path / SIGNATURE)
    for key in trusted:
        try:
            key.verify(signature, manifest)
        except InvalidSignature:
            continue
        return
    raise Misconfigured(
        f"The signature of {path / 'manifest.json'} is of none of the trusted keys.",
        remedy="Restore the model from where it came from, or add its signer's public key to "
        "trusted_keys of [inference].",
    )


def _read_key(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(file, str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(file, "it is of another kind")
    return key


def _no_key(file: Path, why: str) -> Misconfigured:
    return Misconfigured(
        f"{file} holds no Ed25519 public key: {why}.",
        remedy="Correct trusted_keys of [inference]; openssl pkey -pubout writes such a file.",
    )


def _signature(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        signature = raw if len(raw) == _LENGTH else base64.b64decode(raw.strip(), validate=True)
    except FileNotFoundError:
        raise Misconfigured(
            f"{file} does not exist, and this site asks for signed models.",
            remedy="Have the model signed, or remove trusted_keys of [inference].",
        ) from None
    except (OSError, binascii.Error) as error:
        raise Misconfigured(f"{file} is no signature: {error}.") from None
    return signature
