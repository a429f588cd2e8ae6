"""Which models there are: every ``<name>/<version>/manifest.json`` under the models folder."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.domain.errors import Misconfigured
from node.domain.plan import ModelLimits, ModelRef
from node.infer.manifest import Manifest, parse_manifest
from node.infer.onnx_file import require_self_contained
from node.infer.signature import require_signed


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """One version of one model on disk."""

    path: Path
    """Folder that holds manifest and model file."""
    manifest: Manifest
    """What it says of itself."""

    @property
    def ref(self) -> ModelRef:
        """The part of the manifest that enters plans and identities."""
        m = self.manifest
        return ModelRef(
            name=m.name,
            version=m.version,
            sha256=m.sha256,
            body_part=m.body_part,
            spacing_mm=m.spacing_mm,
            limits=ModelLimits(
                region=m.region,
                field_strengths_t=m.field_strengths_t,
                echo_time_ms=m.echo_time_ms,
                repetition_time_ms=m.repetition_time_ms,
                slice_limit_mm=m.slice_limit_mm,
                contrast_agent=m.contrast_agent,
                least_fov_mm=m.least_fov_mm,
            ),
        )

    @property
    def file(self) -> Path:
        """The ONNX file."""
        return self.path / self.manifest.file

    def read(self) -> bytes:
        """The network, exactly as it was hashed; `Misconfigured` when the hash is not its own.

        What is loaded must be these bytes: a file that is opened a second time may be another one.
        """
        if not self.file.is_file():
            raise Misconfigured(
                f"Model file {self.file} does not exist.", remedy="Export the model again."
            )
        data = self.file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.manifest.sha256:
            raise Misconfigured(
                f"Model file {self.file} has SHA-256 {digest}, its manifest says "
                f"{self.manifest.sha256}.",
                remedy="Restore the file, or export the model again.",
            )
        require_self_contained(data, str(self.file))
        return data

    def verify(self) -> None:
        """Compare the file's hash with the manifest's; `Misconfigured` when they differ."""
        self.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The models of one folder."""

    root: Path
    """Folder that was scanned."""
    models: tuple[ModelFolder, ...]
    """By name, then oldest version first."""

    @classmethod
    def scan(cls, models_dir: Path, trusted: Sequence[Ed25519PublicKey] = ()) -> Self:
        """Read every manifest; `Misconfigured` names the folder or manifest that is wrong.

        With ``trusted`` keys each must be signed by one of them.
        """
        if not models_dir.is_dir():
            raise Misconfigured(
                f"Models folder {models_dir} does not exist.",
                remedy="Set models_dir in [inference] to the folder that holds the models.",
            )
        files = sorted(models_dir.glob("*/*/manifest.json"))
        found = [_folder(path.parent, trusted) for path in files]
        found.sort(key=lambda m: (m.manifest.name, _version_key(m.manifest.version)))
        return cls(root=models_dir, models=tuple(found))

    def find(self, name: str) -> ModelFolder:
        """The newest version of ``name``; `Misconfigured` names what there is."""
        versions = [m for m in self.models if m.manifest.name == name]
        if not versions:
            names = sorted({m.manifest.name for m in self.models})
            raise Misconfigured(
                f"There is no model {name!r} in {self.root}; there is "
                f"{', '.join(names) if names else 'none'}.",
                remedy="Correct the route's model, or put the model's folder there.",
            )
        return versions[-1]


def _folder(path: Path, trusted: Sequence[Ed25519PublicKey]) -> ModelFolder:
    data = (path / "manifest.json").read_bytes()
    if trusted:
        require_signed(path, data, trusted)
    manifest = parse_manifest(data, path / "manifest.json")
    for key, told, actual in (
        ("name", manifest.name, path.parent.name),
        ("version", manifest.version, path.name),
    ):
        if told != actual:
            raise Misconfigured(
                f"{path / 'manifest.json'}: {key} is {told!r} but its folder is {actual!r}.",
                remedy="Rename the folder or correct the manifest.",
            )
    return ModelFolder(path=path, manifest=manifest)


def _version_key(version: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Numbers by value: 1.10.0 is newer than 1.9.0; and 1.2.0-rc1 is older than 1.2.0 (SemVer)."""
    release, _, candidate = version.partition("-")
    parts = [
        tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"[.+]", text))
        for text in (release, candidate)
    ]
    return (parts[0], parts[1] if candidate else ((2, 0, ""),))
