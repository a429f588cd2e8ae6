"""Half widths mapped to what was met, on numbers whose answer is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from models.studies.doubt import covered, curve, errors, told, write
from models.studies.reality import answer as answer_of
from models.studies.reality import bare
from node.infer.generator import Generator
from node.infer.manifest import met_hu
from tests.unit.models.studies.test_reality import MODEL, answer, ct, real

Row = tuple[NDArray[np.floating], NDArray[np.floating]]


def patient(seed: int, factor: float) -> Row:
    """Laplace errors whose half width is told ``factor`` times too small."""
    rng = np.random.default_rng(seed)
    half = np.exp(rng.uniform(np.log(20), np.log(400), 20_000))
    scale = half * factor / -np.log(1 - 0.68)
    return np.abs(rng.laplace(0, scale)), half


def test_what_is_told_by_half_is_told_in_full() -> None:
    """On patients that did not set the curve 68 % lie within, where 43 % had."""
    points = curve([patient(n, 2.0) for n in range(8)])

    row = covered([patient(n, 2.0) for n in range(20, 28)], points)

    assert row["before, %"] == pytest.approx(43.4, abs=1)
    assert row["after, %"] == pytest.approx(68, abs=1)
    assert row["worst tenth off, %"] < 6
    np.testing.assert_allclose([met / told_ for told_, met in points], 2.0, rtol=0.06)


def test_the_curve_never_falls() -> None:
    """Where more doubt met less error the two become one step."""
    error, half = patient(1, 1.0)
    points = curve([(np.where(half > 200, 30.0, error), half)])

    met = [m for _, m in points]
    assert met == sorted(met)
    assert np.all(np.diff(met_hu(np.linspace(1, 900, 500), points)) >= 0)


def test_centres_are_told_apart() -> None:
    """One centre's errors are twice the other's: both are told, and both halves."""
    rows = {f"1B{c}{n}": patient(n, 1.0 + (c == "B")) for c in "AB" for n in range(6)}

    found = told(rows, ((10.0, 10.0), (1000.0, 1000.0)))

    assert set(found) == {f"{h}, {c}" for h in ("fit", "told") for c in ("all", "1BA", "1BB")}
    assert found["told, 1BA"]["after, %"] == pytest.approx(68, abs=1)
    assert found["told, 1BB"]["after, %"] == pytest.approx(43.4, abs=1)


def test_only_what_both_call_body_counts() -> None:
    """Air around the head, where nothing is told, is left out."""
    error, half = errors(real(ct()), answer(ct() + np.float32(7), half=20.0))

    assert set(error) == {7.0}
    assert set(half) == {20.0}
    assert 0.97 < error.size / (ct() > -500).sum() <= 1


def test_the_manifest_takes_the_curve_once(tmp_path: Path) -> None:
    """The level that counts as unsure moves with it; a second curve on top is refused."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"output": {}, "quality": {"uncertain_hu": 250.0}}))

    write(path, ((10.0, 20.0), (100.0, 180.0)))

    kept = json.loads(path.read_text())
    assert kept["output"]["half_width_curve"] == [[10.0, 20.0], [100.0, 180.0]]
    assert kept["quality"]["uncertain_hu"] == 450
    with pytest.raises(SystemExit):
        write(path, ((10.0, 20.0), (100.0, 180.0)))


@pytest.mark.slow
def test_the_generator_tells_by_the_curve_of_its_manifest() -> None:
    """The same HU, the same bits where nothing is told, mapped half widths elsewhere."""
    plain = bare(MODEL, 1)
    manifest, points = plain.model.manifest, ((4.0, 8.0), (200.0, 500.0))
    mapped, told_ = (
        replace(manifest, output=replace(manifest.output, half_width_curve=p)) for p in (points, ())
    )
    signal = np.where(ct() > 250, 8, np.where(ct() > -500, 100, 0)).astype(np.float32)

    results = [
        answer_of(Generator(replace(plain.model, manifest=m), providers=["cpu"], threads=1), signal)
        for m in (mapped, told_)
    ]

    met, first = (r.half_hu for r in results)
    assert met is not None
    assert first is not None
    np.testing.assert_array_equal(results[0].hu, results[1].hu)
    np.testing.assert_allclose(met, met_hu(first, points), rtol=1e-5)
    assert (met > first).sum() == (first > 0).sum() > 1000
