"""Fragility, vulnerability and consequences in the forms that are still about: NRML 0.4, CSV, measures beyond shaking."""

import numpy as np
import pytest

from citytwin.errors import InputError
from citytwin.hazards.earthquake.fragility import measures_of
from citytwin.hazards.earthquake.nrml import read_consequences, read_fragility, read_mapping, read_vulnerability

OLD = '<nrml xmlns="http://openquake.org/xmlns/nrml/0.4">{}</nrml>'
NEW = '<nrml xmlns="http://openquake.org/xmlns/nrml/0.5">{}</nrml>'
STATES = "<description>d</description><limitStates> slight complete </limitStates>"
CONTINUOUS = {
    OLD: f"""<fragilityModel format="continuous">{STATES}<ffs noDamageLimit="0.05" type="lognormal"><taxonomy> RC/L </taxonomy>
    <IML IMT="PGA" minIML="0.01" maxIML="9.9" imlUnit="g"/><ffc ls="slight"><params mean="0.2" stddev="0.1"/></ffc>
    <ffc ls="complete"><params mean="0.6" stddev="0.3"/></ffc></ffs></fragilityModel>""",
    NEW: f"""<fragilityModel>{STATES}<fragilityFunction id="RC/L" format="continuous" shape="logncdf">
    <imls imt="PGA" noDamageLimit="0.05" minIML="0.01" maxIML="9.9"/><params ls="slight" mean="0.2" stddev="0.1"/>
    <params ls="complete" mean="0.6" stddev="0.3"/></fragilityFunction></fragilityModel>""",
}
DISCRETE = {
    OLD: f"""<fragilityModel format="discrete">{STATES}<ffs noDamageLimit="0.1"><taxonomy>RM</taxonomy>
    <IML IMT="SA(0.3)" imlUnit="g">0.2 0.4</IML><ffd ls="slight"><poEs>0.3 0.9</poEs></ffd>
    <ffd ls="complete"><poEs>0.0 0.2</poEs></ffd></ffs></fragilityModel>""",
    NEW: f"""<fragilityModel>{STATES}<fragilityFunction id="RM" format="discrete">
    <imls imt="SA(0.3)" noDamageLimit="0.1">0.2 0.4</imls><poes ls="slight">0.3 0.9</poes><poes ls="complete">0.0 0.2</poes>
    </fragilityFunction></fragilityModel>""",
}
LOSSES = {
    OLD: """<vulnerabilityModel><config/><discreteVulnerabilitySet vulnerabilitySetID="V" lossCategory="contents">
    <IML IMT="PGA">0.1 0.5</IML><discreteVulnerability vulnerabilityFunctionID="RC" probabilisticDistribution="LN">
    <lossRatio>0.05 0.4</lossRatio><coefficientsVariation>0.3 0.3</coefficientsVariation></discreteVulnerability>
    </discreteVulnerabilitySet></vulnerabilityModel>""",
    NEW: """<vulnerabilityModel lossCategory="contents"><vulnerabilityFunction id="RC" dist="LN"><imls imt="PGA">0.1 0.5</imls>
    <meanLRs>0.05 0.4</meanLRs><covLRs>0.3 0.3</covLRs></vulnerabilityFunction></vulnerabilityModel>""",
}


def both(tmp_path, forms, reader):
    found = []
    for number, (frame, body) in enumerate(forms.items()):
        path = tmp_path / f"{number}.xml"
        path.write_text(frame.format(body))
        found.append(reader(path))
    return found


@pytest.mark.parametrize("forms", [CONTINUOUS, DISCRETE])
def test_fragility_of_nrml_04_is_that_of_05(tmp_path, forms):
    old, new = both(tmp_path, forms, read_fragility)
    assert (old.states, dict(old.curves)) == (new.states, dict(new.curves))


def test_vulnerability_of_nrml_04_is_that_of_05(tmp_path):
    old, new = both(tmp_path, LOSSES, read_vulnerability)
    assert (old.category, old.functions) == (new.category, new.functions)


def test_a_wrong_set_of_nrml_04_is_refused_with_its_line(tmp_path):
    path = tmp_path / "f.xml"
    path.write_text(OLD.format(CONTINUOUS[OLD].replace('mean="0.6"', 'mean="much"')))
    with pytest.raises(InputError, match="much") as told:
        read_fragility(path)
    assert "line 3" in str(told.value)


@pytest.mark.parametrize("measure", ["AvgSA", "PGDMax", "LiqProb"])
def test_curves_of_other_measures_are_read_as_they_stand(tmp_path, measure):
    path = tmp_path / "f.xml"
    path.write_text(NEW.format(DISCRETE[NEW].replace("SA(0.3)", measure)))
    found = read_fragility(path)
    assert found["RM"].measure == measure
    with pytest.raises(InputError, match=rf'f.xml: the curve of "RM" asks for {measure}.*allowed: PGA'):
        measures_of(found, ["RM"])


def test_consequences_of_a_csv_are_its_structural_losses(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(
        "risk_id,consequence,peril,slight,complete\nA,losses,groundshaking,0.1,1\nA,fatalities,groundshaking,0,0.2\n"
        "A,losses,liquefaction,0.5,1\nB,losses,groundshaking,0.2,0.9\n"
    )
    assert read_consequences(path) == (("slight", "complete"), {"A": (0.1, 1.0), "B": (0.2, 0.9)})
    path.write_text("taxonomy,consequence,loss_type,slight\nA,losses,contents,0.3\nA,losses,structural,0.1\n")
    assert read_consequences(path) == (("slight",), {"A": (0.1,)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("taxonomy,slight\nA,0.1\n", "needs taxonomy, consequence"),
        ("taxonomy,consequence,slight\nA,homeless,1\n", "no row of structural losses"),
        ("taxonomy,consequence,slight\nA,losses,much\n", "much"),
    ],
)
def test_a_wrong_csv_of_consequences_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_consequences(path)


def test_a_mapping_for_several_perils_gives_that_of_shaking(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("taxonomy,risk_id,weight,peril\nW,W-gs,1,groundshaking\nW,W-liq,1,liquefaction\n")
    assert read_mapping(path) == {"W": (("W-gs", 1.0),)}


def test_levels_of_nrml_04_give_the_same_probabilities_in_between(tmp_path):
    old, new = both(tmp_path, DISCRETE, read_fragility)
    at = np.log([0.05, 0.15, 0.3, 1.0])
    assert np.array_equal(old["RM"].exceedance(at), new["RM"].exceedance(at))


def test_blanks_around_a_taxonomy_do_not_count(tmp_path):
    path = tmp_path / "f.xml"
    path.write_text(NEW.format(DISCRETE[NEW].replace('id="RM"', 'id=" RM "')))
    assert list(read_fragility(path).curves) == ["RM"]
    path = tmp_path / "m.csv"
    path.write_text("taxonomy, conversion, weight\nW , RM, 1\n")
    assert read_mapping(path) == {"W": (("RM", 1.0),)}
