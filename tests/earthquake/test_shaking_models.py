"""Ground-motion models, ruptures, distances and the ground under a place."""

import numpy as np
import pytest

from citytwin.city import Ground
from citytwin.errors import InputError, MissingError
from citytwin.hazards.earthquake.distances import from_rupture
from citytwin.hazards.earthquake.intensity import LAWS, intensity_of, motion_of
from citytwin.hazards.earthquake.models import MODELS, Setting, measure_name, model
from citytwin.hazards.earthquake.models.registry import REGIONS
from citytwin.hazards.earthquake.shaking import shaking, warnings_of
from citytwin.hazards.earthquake.site import slope_of, vs30_from_slope
from citytwin.hazards.earthquake.source import angles_of, around, derived, size_of

NEAR = Setting(
    6.5, rake=90.0, dip=45.0, top_depth=3.0, width=15.0, hypocentre_depth=9.0, rrup=np.array([5.0, 20.0, 80.0]),
    rjb=np.array([3.0, 19.0, 79.0]), rx=np.array([4.0, 19.0, 79.0]), ry0=np.zeros(3), repi=np.array([8.0, 24.0, 84.0]),
    rhypo=np.array([12.0, 26.0, 85.0]), vs30=np.array([300.0, 500.0, 900.0]),
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_model_gives_numbers_that_fall_with_distance(name):
    measures = ["PGA", "SA(0.3)", "SA(1.0)"]
    motions = model(name).motions(measures, Setting(**{**vars(NEAR), "vs30": 760.0}))
    for motion in motions:
        assert np.isfinite(motion.mean).all()
        assert (np.diff(motion.mean) < 0).all()
        assert (motion.between > 0).all()
        assert (motion.within > 0).all()


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("BooreEtAl2014", "BSSA14"),
        ("boore_et_al_2014", "BSSA14"),
        ("CampbellBozorgnia2014()", "CB14"),
        ("ChiouYoungs2014", "CY14"),
        ("AbrahamsonEtAl2014", "ASK14"),
        ("AkkarEtAlRjb2014", "ASB14"),
        ("BindiEtAl2014Rjb", "Bindi14"),
        ("BindiEtAl2011", "Bindi11"),
        ("AbrahamsonEtAl2015SInter", "BCHydro16SInter"),
        ("BooreEtAl2014HighQNoSOF", "BSSA14HighQNoSOF"),
    ],
)
def test_models_answer_to_the_names_that_openquake_gives_them(spelling, name):
    assert model(spelling).name == name


def test_a_wrong_name_names_the_nearest():
    with pytest.raises(MissingError, match="BooreEtAl2014"):
        model("BoreEtAl2014")


def test_published_medians_are_met():
    """Three European medians for M 6, Rjb 10 km, Vs30 800 m/s, strike-slip, to three digits, as published elsewhere."""
    setting = Setting(6.0, rake=0.0, rjb=np.array([10.0]), vs30=800.0)
    for name, expected in (("ASB14", 0.142), ("Bindi14", 0.128), ("BSSA14", 0.176)):
        assert round(float(np.exp(model(name).motions(["PGA"], setting)[0].mean[0])), 3) == expected


@pytest.mark.parametrize(
    ("magnitude", "rrup", "vs30", "measure", "expected"),
    [
        (8, 200, 250, "PGV", 15.31969), (8, 200, 500, "PGA", 0.06365952), (6, 30, 500, "PGA", 0.07333502),
        (6, 60, 250, "SA(1.0)", 0.02238728), (5, 1, 2000, "PGV", 61.456326),
    ],
)  # fmt: skip
def test_atkinson_and_boore_meet_a_published_table_on_soil_too(magnitude, rrup, vs30, measure, expected):
    """Rows of the table that OpenQuake's tests hold for the model; on soil its site terms are bent smoothly."""
    setting = Setting(magnitude, rrup=np.array([rrup]), vs30=vs30)
    assert float(np.exp(model("AB06").motions([measure], setting)[0].mean[0])) == pytest.approx(expected, rel=0.005)


def test_a_rake_of_thirty_degrees_is_reverse_to_chiou_and_youngs():
    def at(rake):
        setting = Setting(7.0, rake=rake, rrup=np.array([20.0]), rjb=np.array([19.0]))
        return model("CY14").motions(["PGA"], setting)[0].mean[0]

    assert at(30) == at(150) == at(90) != at(29)


def test_one_standard_deviation_may_stand_for_the_models_own():
    setting = Setting(7.0, rake=0.0, rrup=np.array([20.0]), rjb=np.array([19.0]))
    motion = model("ChiouYoungs2014PEER").motions(["PGA"], setting)[0]
    assert np.hypot(motion.between, motion.within)[0] == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("spelling", "name"), [("pga", "PGA"), ("SA(0.30)", "SA(0.3)"), ("psa1.0", "SA(1.0)"), ("PGV", "PGV"), ("SA(1)", "SA(1.0)")]
)
def test_a_measure_has_one_spelling(spelling, name):
    assert measure_name(spelling) == name


@pytest.mark.parametrize("wrong", ["PGD", "SA(-1)", "SA()", ""])
def test_what_is_no_measure_is_refused(wrong):
    with pytest.raises(InputError, match="no intensity measure"):
        measure_name(wrong)


def test_a_period_between_two_lies_between_them():
    low, between, high = (m.mean for m in model("CB14").motions(["SA(0.75)", "SA(0.9)", "SA(1.0)"], NEAR))
    assert (np.minimum(low, high) < between).all()
    assert (between < np.maximum(low, high)).all()


def test_a_period_that_a_model_lacks_is_refused_with_what_it_has():
    with pytest.raises(InputError, match=r"SA\(0.01\) to SA\(4\)"):
        model("ASB14").motions(["SA(6.0)"], NEAR)


def test_an_unknown_mechanism_lies_between_the_known_ones():
    at = {
        rake: float(model("BSSA14").motions(["PGA"], Setting(6.5, rake=rake, rjb=np.array([10.0])))[0].mean[0])
        for rake in (0, -90, 90)
    }
    unknown = float(model("BSSA14").motions(["PGA"], Setting(6.5, rake=float("nan"), rjb=np.array([10.0])))[0].mean[0])
    assert min(at.values()) < unknown < max(at.values())


def test_limits_of_a_model_are_told():
    said = warnings_of(Setting(8.3, rjb=np.array([10.0, 500.0]), vs30=760.0), {"ASB14": 1.0})
    assert any("magnitude 8.3" in line for line in said)
    assert any("distance 500 km" in line for line in said)
    assert not warnings_of(Setting(6.0, rjb=np.array([10.0]), vs30=760.0), {"ASB14": 1.0})


def test_what_models_disagree_on_adds_to_what_moves_all_places_together():
    places = [0.0, 1.0, 2.0]
    one = [shaking(NEAR, {n: 1.0}, ["PGA"], places, places) for n in ("BSSA14", "CB14")]
    both = shaking(NEAR, {"BSSA14": 3.0, "CB14": 1.0}, ["PGA"], places, places)
    median = 0.75 * one[0].median + 0.25 * one[1].median
    spread = 0.75 * (one[0].median - median) ** 2 + 0.25 * (one[1].median - median) ** 2
    assert np.allclose(both.median, median)
    assert np.allclose(both.between**2, 0.75 * one[0].between ** 2 + 0.25 * one[1].between ** 2 + spread)
    assert np.allclose(both.within**2, 0.75 * one[0].within ** 2 + 0.25 * one[1].within ** 2)


@pytest.mark.parametrize("tree", [{}, {"BSSA14": 0.0}, {"BSSA14": 1.0, "CB14": -1.0}])
def test_weights_that_are_none_are_refused(tree):
    with pytest.raises(InputError, match="weights"):
        shaking(NEAR, tree, ["PGA"], [0.0] * 3, [0.0] * 3)


def test_the_trees_to_begin_with_name_models_that_there_are():
    for tree in REGIONS.values():
        assert sum(tree.values()) == pytest.approx(1.0)
        assert all(model(name) for name in tree)


def test_scaling_gives_the_published_size():
    assert size_of(7.0, "strike-slip") == pytest.approx((10 ** (-2.57 + 0.62 * 7), 10 ** (-0.76 + 0.27 * 7)))
    with pytest.raises(MissingError, match="wells-coppersmith"):
        size_of(7.0, "reverse", "wells-copersmith")


@pytest.mark.parametrize(("mechanism", "strike"), [("reverse", 30.0), ("normal", 250.0), ("strike-slip", 120.0)])
def test_a_derived_rupture_holds_its_hypocentre_and_its_angles(mechanism, strike):
    made = derived(6.7, (13.4, 42.3, 9.0), mechanism, strike=strike)
    found, dip = angles_of(made.quads)
    assert found == pytest.approx(strike, abs=0.1)
    assert dip == pytest.approx(made.dip, abs=0.1)
    assert (made.quads[:, :, 2] >= 0).all()
    to_metres = around(13.4, 42.3)
    corners, hypocentre = made.local(to_metres)
    normal = np.cross(corners[0, 1] - corners[0, 0], corners[0, 3] - corners[0, 0])
    off = abs((hypocentre - corners[0, 0]) @ normal) / np.linalg.norm(normal)
    assert off < 30  # metres, on a sphere


def test_distances_are_those_of_a_plane_worked_out_by_hand():
    """A vertical plane 20 km long from 2 to 12 km under the y axis; a place 10 km east of its middle, one 6 km past its end."""
    made = derived(6.5, (0.0, 0.0, 7.0), "strike-slip", strike=0.0, length=20.0, width=10.0)
    found = from_rupture(made, [10_000.0, 0.0], [0.0, 16_000.0], around(0.0, 0.0))
    assert found.rjb == pytest.approx([10.0, 6.0], abs=0.02)
    assert found.rrup == pytest.approx([np.hypot(10, 2), np.hypot(6, 2)], abs=0.02)
    assert found.rx == pytest.approx([10.0, 0.0], abs=0.02)
    assert found.ry0 == pytest.approx([0.0, 6.0], abs=0.02)
    assert found.rhypo == pytest.approx([np.hypot(10, 7), np.hypot(16, 7)], abs=0.02)


def test_a_rupture_of_unknown_direction_shakes_all_directions_alike():
    made = derived(6.5, (0.0, 0.0, 8.0))
    angle = np.radians(np.arange(0, 360, 30.0))
    found = from_rupture(made, 30_000 * np.sin(angle), 30_000 * np.cos(angle), around(0.0, 0.0))
    assert np.ptp(found.rrup) < 0.05
    assert (found.rx <= 0).all()


def test_bounds_of_slope_classes_give_bounds_of_vs30():
    assert vs30_from_slope([3.5e-3, 0.010, 0.14]) == pytest.approx([240, 300, 760])
    assert vs30_from_slope([2e-3, 0.025], "stable") == pytest.approx([240, 760])
    assert vs30_from_slope([0.0, 5.0]) == pytest.approx([180, 900])
    with pytest.raises(MissingError, match="active"):
        vs30_from_slope(0.1, "activ")


def test_an_even_slope_of_the_ground_is_found_whatever_the_cell_size():
    for size in (10.0, 30.0):
        height = np.tile(np.arange(0, 2000, size) * 0.05, (50, 1)).astype(np.float32)
        slope = slope_of(Ground(0.0, 0.0, size, {"elevation": height}))
        assert slope[25, slope.shape[1] // 2] == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize("measure", LAWS)
def test_intensity_and_motion_are_each_others_inverse(measure):
    for felt in (1.5, 3.0, 4.0, 6.0, 8.5):
        ln, spread = motion_of(measure, felt)
        assert float(intensity_of(measure, ln)) == pytest.approx(felt, abs=0.06)
        assert float(spread) > 0
    assert float(motion_of(measure, 6.0, 0.5)[1]) > float(motion_of(measure, 6.0)[1])
