"""Builds from Settings what runs the models of the site's folder, when it is first asked for."""

from functools import cache
from typing import TYPE_CHECKING, Any

from node.config.settings import Settings
from node.domain.errors import Misconfigured
from node.domain.plan import ModelRef

if TYPE_CHECKING:
    from node.infer.generator import Generator
    from node.infer.registry import ModelFolder, Registry


def registry(settings: Settings) -> "Registry":
    """The models of the site's models folder."""
    from node.infer.registry import Registry
    from node.infer.signature import read_keys

    keys = read_keys(settings.inference.trusted_keys)
    return Registry.scan(settings.inference.models_dir, keys)


class GeneratorPool:
    """Keeps the session of each model it has opened, when it was first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._open = cache(self._build)
        self._settings = settings

    def __call__(self, ref: ModelRef) -> "Generator":
        """The generator for ``ref``."""
        return self._open(ref.name, ref.sha256)

    def _build(self, name: str, sha256: str) -> "Generator":
        from node.infer.generator import Generator

        models = registry(self._settings).models  # read anew: one may have been added since
        folder = next((m for m in models if (m.ref.name, m.ref.sha256) == (name, sha256)), None)
        if folder is None:
            raise Misconfigured(
                f"Model {name} with SHA-256 {sha256[:12]} is not in the models folder.",
                remedy="Put that version back, or run the series again with the newest.",
            )
        inference = self._settings.inference
        return Generator(
            folder,
            providers=inference.providers,
            memory_budget_bytes=int(inference.vram_budget_gb * 2**30),
        )


def model_rows(settings: Settings) -> list[dict[str, Any]]:
    """What is in the models folder."""
    from node.infer.model_card import card

    return [card(m) for m in registry(settings).models]


def verify_models(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """Hash and golden case of each model, or of all versions of ``name``."""
    models = registry(settings)
    wanted = [m for m in models.models if name in (None, m.ref.name)]
    if name is not None and not wanted:
        models.find(name)
    return [_verified(m, settings) for m in wanted]


def verified(settings: Settings, name: str, version: str) -> dict[str, Any]:
    """Hash and golden case of one version of a model, as this process computes them."""
    versions = {m.ref.version: m for m in registry(settings).models if m.ref.name == name}
    if version not in versions:
        raise Misconfigured(
            f"There is no model {name} {version}.", remedy="See pctnode models list."
        )
    return _verified(versions[version], settings)


def _verified(model: "ModelFolder", settings: Settings) -> dict[str, Any]:
    from node.infer.golden import verify
    from node.infer.session import Session

    providers = settings.inference.providers
    ref = model.ref
    row: dict[str, Any] = {"name": ref.name, "version": ref.version, "sha256": ref.sha256}
    try:
        sentence = verify(model, providers=providers)
        provider = Session(model.read(), providers=providers).provider
    except Misconfigured as error:
        return row | {"provider": "", "ok": False, "verdict": str(error)}
    return row | {"provider": provider, "ok": True, "verdict": sentence}


def only_model(models: "Registry") -> ModelRef:
    """The model to use where nothing names one."""
    names = sorted({m.ref.name for m in models.models})
    if len(names) == 1:
        return models.find(names[0]).ref
    raise Misconfigured(
        f"There are {len(names)} models in {models.root}: {', '.join(names) or 'none'}.",
        remedy="Choose one with --model, or write a route.",
    )
