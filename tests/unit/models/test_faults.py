"""Gross faults never pass: a short sample of what `python -m models.trust` runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.faults import ANSWER_FAULTS, OBJECTS, object_in, spoil, spoilt_input
from models.limits import limits
from models.trust import CLEAN, SMALL, Tally
from node.domain.geometry import Grid
from node.infer.manifest import Manifest, Quality, read_manifest
from node.infer.order import MOST, disorder
from node.infer.outline import surface_bone
from node.infer.preprocess import body_mask
from node.infer.quality import Examined, check
from tests.phantoms.tiny_onnx import affine_manifest

STEP_MM = 2.0


def head(seed: int) -> Examined:
    """An egg of brain in skull, fat and skin, with a sinus; HU as a perfect model gives them."""
    rng = np.random.default_rng(seed)
    shape = (100, 110, 90)
    axes = [(np.arange(n) - n / 2) * STEP_MM for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    size = float(rng.uniform(0.95, 1.05))
    radius = np.sqrt((z / 1.0) ** 2 + (y / 1.15) ** 2 + x**2) / size
    hu = np.full(shape, -1000.0)
    for limit, value in ((76, 20), (73, -90), (68, 900), (61, 20), (57, 35)):
        hu[radius < limit] = value
    sinus = np.sqrt((z + 20) ** 2 + (y + 62) ** 2 + x**2) < 14
    hu[sinus & (radius < 66)] = -1000
    body = radius < 76
    hu = np.where(body & (hu > -500), hu + rng.normal(0, 8, shape), hu)
    signal = np.select([hu > 500, hu > 0, hu > -200], [0.08, 0.8, 1.5], 0.0)
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * STEP_MM
    grid = Grid(shape=shape, affine=affine)
    return Examined(
        hu=hu.astype(np.float32),
        scale=np.where(body, 60.0, 0.0).astype(np.float32),
        body=body,
        signal=signal.astype(np.float32),
        work=grid,
        source=grid,
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Limits from eight heads, read back as the node reads them."""
    quality = limits(head(seed) for seed in range(8))
    told = affine_manifest("tiny", "1.0.0", STEP_MM, "0" * 64)
    path = tmp_path_factory.mktemp("model") / "manifest.json"
    path.write_text(json.dumps(told | {"quality": quality, "body_mask": True}))
    return read_manifest(path)


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_clean_head_of_another_seed_passes(manifest: Manifest, seed: int) -> None:
    """No false alarm."""
    assert check(head(seed), manifest) == ()


@pytest.mark.parametrize(("kind", "size"), ANSWER_FAULTS)
def test_a_spoilt_answer_is_found(manifest: Manifest, kind: str, size: float) -> None:
    """Each kind in each of its sizes; what it is held for does not matter here."""
    found = check(spoil(head(200), kind, size, seed=3), manifest)

    assert found
    assert {f.severity.value for f in found} & {"hold", "refuse"}


def test_a_hole_is_found_where_it_is(manifest: Manifest) -> None:
    """The finding names the side of the head the bone is missing on."""
    case = head(201)
    left = np.arange(90)[None, None, :] > 60
    high = np.arange(100)[:, None, None] > 55
    hu = np.where(left & high & (case.hu > 250), 40, case.hu).astype(np.float32)

    found = {f.code: f for f in check(replace(case, hu=hu), manifest)}

    place = found["SKULL_OPEN"].where_mm
    assert place is not None
    assert place[0] > case.work.affine[0, 3] + 60 * STEP_MM


def test_a_shift_is_measured_and_its_side_named(manifest: Manifest) -> None:
    """Two voxels towards the patient's left are four millimetres."""
    case = head(202)
    moved = replace(case, hu=np.roll(case.hu, 2, axis=2))

    found = {f.code: f for f in check(moved, manifest)}

    assert found["OUTLINE_SHIFTED"].values["sides"] == "left"
    assert float(found["OUTLINE_SHIFTED"].values["shift_mm"]) == pytest.approx(4, abs=0.5)


def test_bone_without_skin_is_found(manifest: Manifest) -> None:
    """A face that is cut off leaves bone bare; under its skin it is no finding."""
    case = head(203)
    front = np.arange(110)[None, :, None] < 30
    bare = np.where(front & case.body, 700, case.hu).astype(np.float32)

    found = {f.code: f for f in check(replace(case, hu=bare), manifest)}

    assert float(found["BONE_BARE"].values["share_percent"]) > 5
    assert surface_bone(case.hu, case.body, case.work.spacing_mm) == 0.0
    assert surface_bone(bare[:, 20:], case.body[:, 20:], (2.0, 2.0, 2.0)) > 0.0


def test_what_the_volume_cuts_is_no_surface() -> None:
    """Bone at the end of the field of view is not bare."""
    body = np.ones((20, 20, 20), bool)

    assert surface_bone(np.full(body.shape, 900.0, np.float32), body, (1.0, 1.0, 1.0)) == 0.0


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_are_no_heads(manifest: Manifest, kind: str) -> None:
    """With the best a head model could do of them, tissue for signal and bone at its rim."""
    signal = object_in(kind, 1, (90, 100, 90)) if kind == "noise" else object_in(kind, 1)
    body = body_mask(signal, (1.0, 1.0, 1.0))
    hu = np.where(body, np.where(signal > 0.3, 40.0, 900.0), -1000.0).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3))
    grid = Grid(shape=signal.shape, affine=affine)
    case = Examined(hu=hu, scale=None, body=body, signal=signal, work=grid, source=grid)

    assert check(case, manifest)


def test_half_the_field_of_view_meets_the_edge(manifest: Manifest) -> None:
    """The cut face is named."""
    case = head(203)
    half = spoilt_input(case.signal, case.body, "half field of view", seed=1)
    cut = tuple(slice(0, n) for n in half.shape)
    grid = Grid(shape=half.shape, affine=case.work.affine)
    seen = replace(case, hu=case.hu[cut], body=case.body[cut], signal=half, work=grid, source=grid)

    found = check(replace(seen, scale=None), manifest)

    assert "BODY_AT_EDGE" in {f.code for f in found}


def test_without_the_new_limits_an_older_manifest_still_reads() -> None:
    """A manifest of an earlier release has no limits for vault, spread and outline."""
    assert Quality.__dataclass_fields__["open_share"].default is None


def test_shuffled_slices_are_out_of_order(manifest: Manifest) -> None:
    """In order about half, shuffled about one; a short stack tells nothing."""
    case = head(204)
    shuffled = spoilt_input(case.signal, case.body, "wrong slice order", seed=1)

    told = [disorder(case.signal), disorder(shuffled)]
    found = check(replace(case, disorder=told[1]), manifest)

    assert told[0] is not None
    assert told[0] < MOST
    assert check(replace(case, disorder=told[0]), manifest) == ()
    assert [f.code for f in found] == ["SLICES_DISORDERED"]
    assert disorder(case.signal[:5]) is None


def test_a_fault_counts_as_caught_when_it_stops_what_the_clean_case_let_pass(
    manifest: Manifest,
) -> None:
    """A warning stops nothing, nor does what stopped the clean case too."""
    case, tally = head(205), Tally(manifest)
    bare = spoil(case, "bone removed", 1.0, seed=1)

    known = tally.add(CLEAN, case)
    tally.add("bone removed", bare, known)
    tally.add("bone removed", bare, tally.add("other", bare))
    tally.add("nothing", case, known)
    tally.add(f"{SMALL}nothing", case, known)

    summary = tally.summary()
    assert summary["bone removed"]["stopped"] == 1
    assert summary["bone removed"]["cases"] == 2
    assert tally.verdict() == "4 faults, 2 missed; 1 clean cases, 0 stopped"
