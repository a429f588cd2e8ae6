"""Gross faults never pass: a short sample of what `python -m models.studies.trust` runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.limits import Figures, figures, limits
from models.pairs import Pair
from models.populations import is_cut
from models.studies.faults import ANSWER_FAULTS, ANSWERS, smallest, spoil
from models.studies.faults_input import OBJECTS, QUESTIONS, ask, object_in
from models.studies.trust import CLEAN, Tally
from models.tissues import Tissue
from node.domain.geometry import Grid
from node.infer.contour_agreement import surface_bone
from node.infer.manifest import Manifest, Quality, read_manifest
from node.infer.preprocess import body_mask
from node.infer.quality import Examined, check
from node.infer.slice_order import MOST, disorder
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


def askew(case: Examined) -> Examined:
    """The same head with a dent in one side, as no head is its own mirror image."""
    dent = case.body & (np.arange(case.hu.shape[2]) > 0.74 * case.hu.shape[2])
    hu = np.where(dent, -1000, case.hu).astype(np.float32)
    return replace(case, hu=hu, body=case.body & ~dent)


def perfect(case: Examined, error_hu: float = 0.0) -> Figures:
    """Of an answer that is ``error_hu`` off everywhere in the body."""
    found = figures(case, case.hu + np.float32(error_hu), case.body)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Limits from eight heads, read back as the node reads them."""
    quality = limits(perfect(head(seed)) for seed in range(8))
    told = affine_manifest("tiny", "1.0.0", STEP_MM, "0" * 64)
    path = tmp_path_factory.mktemp("model") / "manifest.json"
    path.write_text(json.dumps(told | {"quality": quality, "body_mask": True}))
    return read_manifest(path)


def test_what_is_answered_wrongly_sets_no_limit() -> None:
    """A head with twice the usual error and all its bone bare leaves the limits as they are."""
    usual = [perfect(head(seed), 50.0) for seed in range(4)]
    bad = head(5)
    bare = replace(bad, hu=np.where(bad.body, 700, -1000).astype(np.float32))

    assert limits([*usual, perfect(bare, 100.0)]) == limits(usual)
    assert limits([*usual, perfect(bare, 60.0)]) != limits(usual)


def test_a_head_beyond_its_field_of_view_is_not_clean() -> None:
    """A neck may end there, and an ear; a third of a head may not."""
    whole = head(6)

    def cut(*kept: slice) -> bool:
        tissues = np.where(whole.body, Tissue.FAT, Tissue.OUTSIDE).astype(np.uint8)[kept]
        return is_cut(
            Pair(mr=whole.signal[kept], ct=whole.hu.astype(np.int16)[kept], tissues=tissues)
        )

    assert not cut(slice(None), slice(None), slice(None))
    assert not cut(slice(40, None), slice(None), slice(None))
    assert cut(slice(None, 70), slice(None), slice(None))
    assert cut(slice(None), slice(30, None), slice(None))


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_clean_head_of_another_seed_passes(manifest: Manifest, seed: int) -> None:
    """No false alarm."""
    assert check(head(seed), manifest) == ()


@pytest.mark.parametrize(("kind", "size"), ANSWER_FAULTS)
def test_a_spoilt_answer_is_found(manifest: Manifest, kind: str, size: float) -> None:
    """Each kind in each of its sizes; what it is held for does not matter here."""
    case = head(200)
    if kind == "left and right exchanged":
        case = askew(case)
    found = check(spoil(case, kind, size, seed=3), manifest)

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


@pytest.mark.parametrize("name", [name for name, kind in ANSWERS.items() if kind.none is not None])
def test_a_fault_of_no_size_changes_nothing(name: str) -> None:
    """The halving ends at the clean case."""
    case = head(203)
    none = ANSWERS[name].none
    assert none is not None

    spoilt = spoil(case, name, none, seed=1)

    if name != "tissue outside, edge in mm":  # one voxel is the least
        inside = case.body & spoilt.body
        np.testing.assert_allclose(spoilt.hu[inside], case.hu[inside], atol=1e-3)


def test_the_smallest_fault_is_halved_down_to() -> None:
    """From the gross one towards nothing, upwards as well as downwards."""
    assert smallest(lambda size: size >= 1.3, 0.0, 4.0, halvings=10) == pytest.approx(
        (1.3, 1.3), abs=0.01
    )
    assert smallest(lambda slope: slope <= 0.7, 1.0, 0.5, halvings=10) == pytest.approx(
        (0.7, 0.7), abs=0.01
    )
    assert smallest(lambda _: False, 0.0, 4.0) is None
    assert smallest(lambda _: True, None, 1.0) is None


def pair_of(case: Examined) -> Pair:
    """The egg as a pair."""
    kinds = [case.hu > 500, case.hu > 0, case.hu > -200]
    tissues = np.select(kinds, [Tissue.CORTICAL, Tissue.WHITE, Tissue.FAT], Tissue.OUTSIDE)
    return Pair(mr=case.signal, ct=case.hu.astype(np.int16), tissues=tissues.astype(np.uint8))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_spoilt_question_keeps_its_lattice(name: str) -> None:
    """Another MR of the same shape; nothing where the size is none."""
    case = head(207)
    kind = QUESTIONS[name]

    spoilt = ask(pair_of(case), name, kind.gross[0], seed=2)

    assert spoilt.shape == case.signal.shape
    assert not np.allclose(spoilt, case.signal)
    if kind.none is not None:
        same = ask(pair_of(case), name, kind.none, seed=2)
        np.testing.assert_allclose(same, case.signal, atol=1e-6)


def test_without_the_new_limits_an_older_manifest_still_reads() -> None:
    """A manifest of an earlier release has no limits for vault, spread and outline."""
    assert Quality.__dataclass_fields__["open_share"].default is None


def test_shuffled_slices_are_out_of_order(manifest: Manifest) -> None:
    """In order about half, shuffled about one; a short stack tells nothing."""
    case = head(204)
    shuffled = ask(pair_of(case), "slices out of order, share", 1.0, seed=1)

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
    bare = spoil(case, "bone removed from the top, share", 1.0, seed=1)

    known = tally.add(CLEAN, case)
    tally.add("bone removed", bare, known)
    tally.add("bone removed", bare, tally.add("other", bare))
    tally.add("nothing", case, known)

    summary = tally.summary()
    assert summary["bone removed"]["stopped"] == 1
    assert summary["bone removed"]["cases"] == 2
    assert tally.verdict() == "4 faults, 2 missed; 1 clean cases, 0 stopped"
    tally.smallest["shifted, mm"] += [(0.7, 0.8), None, (0.4, 0.5)]
    assert "| bone removed | 2 | 1 | BONE_SHARE" in tally.tables()
    assert "| shifted, mm | 0.5 | 0.8 |" in tally.tables()
