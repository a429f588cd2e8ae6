"""The bench of reality: its figures by arithmetic, its rules, and a run on real slices."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from models.populations import volume
from models.skulls import look, outline, places
from models.studies.reality import (
    REPEATS,
    bare,
    costs,
    kept_answer,
    outside_the_project,
    read_slices,
    repeated,
    report,
    split,
)
from models.studies.reality_figures import Answer, RealSlice, brightness, figures, medians, table
from models.studies.reality_pictures import draw_worst
from node.domain.errors import Misconfigured
from node.domain.geometry import Grid

SLICES = Path(__file__).parents[5] / "shared/data/real-pairs/synthrad2023-brain-slices"
MODEL = Path(__file__).parents[4] / "onnx/head-t1/1.3.0"
SHAPE = (220, 190)
Floats = NDArray[np.float32]


def radius() -> Floats:
    """Distance from the middle of a slice."""
    rows, columns = (np.arange(n) - n / 2 for n in SHAPE)
    return np.asarray(np.hypot(rows[:, None], columns[None]), np.float32)


def ct(outer: float = 80.0, inner: float = 73.0, skin: float = 86.0) -> Floats:
    """A round head: brain, skull from ``inner`` to ``outer``, skin to ``skin``."""
    r = radius()
    hu = np.select([r < inner, r < outer, r < skin], [30.0, 900.0, -80.0], -1000.0)
    return np.asarray(hu, np.float32)


def real(hu: Floats, patient: str = "1BA001", bright: float = 1.2) -> RealSlice:
    """A slice whose brain holds a vessel ``bright`` times as bright as it."""
    mr = np.where(hu > -500, 100.0, 0.0)
    mr[105:115, 90:100] *= bright
    return RealSlice(patient=patient, mr=mr.astype(np.float32), hu=hu, mask=radius() < 94)


def answer(hu: Floats, half: float = 50.0) -> Answer:
    """An answer with one half width everywhere."""
    body = hu > -500
    return Answer(hu=hu, half_hu=np.where(body, half, 0).astype(np.float32), body=body)


def test_a_perfect_answer_has_no_error() -> None:
    """All errors are nothing, the skull is as thick as it is."""
    row = figures(real(ct()), answer(ct()))

    assert row["MAE in the mask"] == row["MAE in the body"] == row["ME of bone"] == 0
    assert row["bone Dice"] == 1
    # 250 HU lies outside the middle of either edge, a quarter of a voxel each.
    assert row["skull, CT, mm"] == pytest.approx(7.5, abs=0.3)
    assert row["skull thicker, mm"] == row["outer table deeper, mm"] == 0
    assert row["within the half width in the body, %"] == 100
    assert row["outside the answer's outline, %"] == 0
    assert row["outline larger, mm"] == pytest.approx(0, abs=0.51)


def test_a_skull_too_thin_is_told_from_one_elsewhere() -> None:
    """Three millimetres less inside, and the same skull two millimetres deeper."""
    thin = figures(real(ct()), answer(ct(inner=76)))
    deep = figures(real(ct()), answer(ct(outer=78, inner=71)))

    assert thin["skull thicker, mm"] == pytest.approx(-3, abs=0.3)
    assert thin["outer table deeper, mm"] == pytest.approx(0, abs=0.1)
    assert thin["inner table deeper, mm"] == pytest.approx(-3, abs=0.3)
    assert deep["skull thicker, mm"] == pytest.approx(0, abs=0.3)
    assert deep["outer table deeper, mm"] == pytest.approx(2, abs=0.3)
    assert thin["bone Dice"] < 0.9 < thin["bone of both, sCT"]


def test_errors_are_told_by_what_the_ct_shows() -> None:
    """Bone 100 HU too low and soft tissue 10 too high count in their own rows only."""
    hu = ct()
    off = hu + np.select([hu > 250, hu > 0], [-100.0, 10.0], 0.0).astype(np.float32)

    row = figures(real(hu), answer(off, half=20.0))

    assert row["ME of bone"] == -100
    assert row["ME of soft tissue"] == 10
    assert row["MAE of fat"] == 0
    assert row["bone p50, sCT"] == row["bone p50, CT"] - 100
    bone = (hu > 250).sum() / outline(hu, radius() < 94).sum()
    assert row["within the half width where told, %"] == pytest.approx(100 * (1 - bone), abs=0.1)


def test_what_the_outline_loses_is_neither_told_nor_met() -> None:
    """Where the answer is all air within the CT's body, nothing lies within a half width."""
    row = figures(real(ct()), answer(np.where(radius() < 73, ct(), -1000).astype(np.float32)))

    lost = 100 * (1 - (radius() < 73).sum() / (radius() < 86).sum())
    assert row["outside the answer's outline, %"] == pytest.approx(lost, abs=0.5)
    assert row["within the half width where told, %"] == 100
    assert row["within the half width in the body, %"] == pytest.approx(100 - lost, abs=0.5)
    assert row["outline larger, mm"] == pytest.approx(-13, abs=0.6)
    assert row["no skull, %"] == 100


def test_a_head_rest_is_no_head() -> None:
    """A shell beside the head and a pad that touches it are left out."""
    hu = ct()
    rest = hu.copy()
    rest[(radius() > 90) & (radius() < 92)] = 100
    rest[195:201, 60:130] = 0

    body = outline(rest, np.ones(SHAPE, bool))

    # All but what lies within five millimetres of the head itself.
    assert (body & (radius() > 88.5)).sum() < 0.15 * (rest > -500)[radius() > 88.5].sum()
    assert (~body & (radius() < 84)).sum() == 0


def test_air_alone_has_no_outline_and_no_figures() -> None:
    """Nothing is measured, nothing breaks."""
    air = np.full(SHAPE, -1000, np.float32)

    row = figures(real(air), answer(air))

    assert row["MAE in the mask"] == 0
    assert np.isnan(row["MAE in the body"])
    points, inward = places(np.zeros(SHAPE, bool))
    assert look(air, points, inward).outer_mm.size == 0


def test_diploe_is_part_of_the_skull_and_the_base_is_not() -> None:
    """Marrow between the tables counts; bone far below them does not."""
    r = radius()
    hu = ct(inner=68)
    hu[(r > 72) & (r < 76)] = 150
    hu[(r > 40) & (r < 50)] = 900

    skull = look(hu, *places(outline(hu, r < 90)))

    assert np.nanmedian(skull.thickness_mm) == pytest.approx(12.5, abs=0.3)


def test_contrast_agent_is_told_by_bright_vessels() -> None:
    """A vessel twice as bright as the brain tells, white matter does not."""
    body = outline(ct(), radius() < 94)

    assert figures(real(ct(), bright=2.0), answer(ct()))["enhanced"] == 1
    assert figures(real(ct(), bright=1.4), answer(ct()))["enhanced"] == 0
    assert brightness(real(ct(), bright=2.0).mr, ct(), body) == pytest.approx(2.0)


def test_patients_are_apart_and_every_centre_is_in_both_halves() -> None:
    """Names alone decide; each centre gives half to either side, whatever the order."""
    names = [f"1B{c}{n:03d}" for c in "ABC" for n in range(20)]

    fit, told = split(names)

    assert not set(fit) & set(told)
    assert set(fit) | set(told) == set(names)
    assert [sum(n[:3] == c for n in fit) for c in ("1BA", "1BB", "1BC")] == [10, 10, 10]
    assert split(names[::-1]) == (fit, told)


def test_the_report_tells_halves_centres_and_contrast() -> None:
    """Medians of each group; a group nobody is in is not told."""
    rows = {
        f"1B{c}{n}": figures(real(ct(), bright=2.0), answer(ct() + np.float32(n)))
        for c in "AB"
        for n in range(4)
    }

    told = report(rows)

    assert set(told) == {"fit", "told"}
    assert set(told["fit"]) == {"all", "1BA", "1BB", "with contrast agent"}
    assert told["fit"]["all"]["patients"] == 4
    assert "| MAE in the body |" in table(told)
    assert medians([{"a": 1.0}, {"a": float("nan")}, {"a": 3.0}]) == {"a": 2.0}


def test_answers_are_kept(tmp_path: Path) -> None:
    """The second question is not asked again."""
    asked = []

    def make() -> Answer:
        asked.append(1)
        return answer(np.rint(ct()))

    first = kept_answer(tmp_path, "1BA001", make)
    second = kept_answer(tmp_path, "1BA001", make)

    assert len(asked) == 1
    np.testing.assert_array_equal(first.hu, second.hu)
    assert second.half_hu is not None
    np.testing.assert_array_equal(second.half_hu, answer(ct()).half_hu)


def test_pictures_of_patients_stay_outside_the_project(tmp_path: Path) -> None:
    """A folder of this project is refused; elsewhere the worst come first."""
    with pytest.raises(Misconfigured):
        outside_the_project(str(MODEL))
    slices = [real(ct(), patient=f"1BA{n}") for n in range(3)]
    answers = {f"1BA{n}": answer(ct() + np.float32(10 * n)) for n in range(3)}
    rows = {s.patient: figures(s, answers[s.patient]) for s in slices}

    named = draw_worst(slices, answers, rows, outside_the_project(str(tmp_path)), count=2)

    assert named == ["1BA2", "1BA1"]
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_an_empty_folder_is_no_bench(tmp_path: Path) -> None:
    """It is refused in words."""
    with pytest.raises(Misconfigured, match="holds no slices"):
        read_slices(tmp_path)


@pytest.mark.slow
def test_a_volume_that_is_one_slice_repeated_costs_nothing() -> None:
    """Whole and repeated are one and the same question there, so their figures agree."""
    hu = ct()
    signal = np.where(hu > 250, 8, np.where(hu > -500, 100, 0)).astype(np.float32)
    stack = np.repeat(signal[None], 60, axis=0)
    truth = np.repeat(hu[None], 60, axis=0)

    found = costs(bare(MODEL, 1), "round", stack, truth, heights_mm=(30,))

    assert len(found) == 1
    assert found[0].alone["MAE in the body"] == pytest.approx(
        found[0].whole["MAE in the body"], abs=0.5
    )


@pytest.mark.realdata
@pytest.mark.slow
def test_three_patients_end_to_end(tmp_path: Path) -> None:
    """One of each centre: medians in the file are those of the answers kept."""
    if not SLICES.is_dir():
        pytest.skip("no real slices beside the checkout")
    for name in ("1BA001", "1BB002", "1BC001"):
        (tmp_path / f"{name}.npz").symlink_to(SLICES / f"{name}.npz")
    keep, target = tmp_path / "keep", tmp_path / "told.json"

    asked = ["--model", str(MODEL), "--keep", str(keep), "--json", str(target)]
    subprocess.run(
        [sys.executable, "-m", "models.studies.reality", str(tmp_path), *asked],
        check=True,
        cwd=MODEL.parents[2],
        capture_output=True,
    )

    told = json.loads(target.read_text())
    assert set(told["rows"]) == {"1BA001", "1BB002", "1BC001"}
    assert told["medians"]["fit"]["all"]["patients"] == 3
    assert 50 < told["medians"]["fit"]["all"]["MAE in the body"] < 200
    one = next(s for s in read_slices(tmp_path) if s.patient == "1BA001")
    with np.load(keep / "1BA001.npz") as kept:
        error = np.abs(kept["hu"].astype(np.float32) - one.hu)[one.mask].mean()
    assert told["rows"]["1BA001"]["MAE in the mask"] == pytest.approx(float(error), rel=1e-4)


def test_the_slice_is_given_so_often_that_the_middle_sees_no_end() -> None:
    """Ten neighbours to either side of the middle lie within the volume."""
    stack = volume(repeated(np.ones(SHAPE, np.float32)))

    assert stack.grid.shape == (REPEATS, *SHAPE)
    assert REPEATS // 2 - 10 >= 0
    assert REPEATS // 2 + 10 < REPEATS
    assert isinstance(stack.grid, Grid)
