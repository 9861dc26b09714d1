"""NRML 0.4 in the words of NRML 0.5, so that one reader does for both.

0.4 puts fragility functions into sets (`ffs`) with taxonomy, levels (`IML`) and `ffc` or `ffd` by limit state, vulnerability
functions into `discreteVulnerabilitySet`, which hold the levels; 0.5 has one element a function, with `imls`.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

SETS = {"ffs", "discreteVulnerabilitySet"}


def renewed(model: Any) -> Any:
    """`model` in the form of NRML 0.5: itself where it is already, else a new element. Lines of its file stay with it."""
    sets = [e for e in model if isinstance(e.tag, str) and _local(e) in SETS]
    if not sets:
        return model
    out = etree.Element(_local(model), **dict(model.attrib))
    for part in model:
        if isinstance(part.tag, str) and part not in sets:
            out.append(_bare(part))
    for group in sets:
        if _local(group) == "ffs":
            out.append(_fragility(group, model.get("format", "discrete")))
        else:
            out.set("lossCategory", group.get("lossCategory", "structural"))
            out.extend(_vulnerabilities(group))
    return out


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _bare(element: Any, name: str = "") -> Any:
    """An element without its namespace, text only."""
    out = etree.Element(name or _local(element), **dict(element.attrib))
    out.text = element.text
    out.sourceline = element.sourceline
    return out


def _inside(element: Any, name: str) -> list[Any]:
    return [e for e in element if isinstance(e.tag, str) and _local(e) == name]


def _levels(group: Any) -> list[Any]:
    """The levels of a set as `imls`."""
    found = []
    for old in _inside(group, "IML"):
        levels = _bare(old, "imls")
        levels.attrib.update({"imt": levels.attrib.pop("IMT", "")} if "IMT" in levels.attrib else {})
        if "noDamageLimit" in group.attrib:
            levels.set("noDamageLimit", group.get("noDamageLimit"))
        found.append(levels)
    return found


def _fragility(group: Any, form: str) -> Any:
    out = etree.Element("fragilityFunction", format=form)
    out.sourceline = group.sourceline
    for taxonomy in _inside(group, "taxonomy"):
        out.set("id", (taxonomy.text or "").strip())
    out.extend(_levels(group))
    for old, kind, new in (("ffc", "params", "params"), ("ffd", "poEs", "poes")):
        for state in _inside(group, old):
            for values in _inside(state, kind):
                said = _bare(values, new)
                said.set("ls", state.get("ls", ""))
                out.append(said)
    return out


def _vulnerabilities(group: Any) -> list[Any]:
    found = []
    for old in _inside(group, "discreteVulnerability"):
        out = etree.Element("vulnerabilityFunction")
        out.sourceline = old.sourceline
        if "vulnerabilityFunctionID" in old.attrib:
            out.set("id", old.get("vulnerabilityFunctionID"))
        out.extend(_levels(group))
        out.extend(_bare(e, "meanLRs") for e in _inside(old, "lossRatio"))
        out.extend(_bare(e, "covLRs") for e in _inside(old, "coefficientsVariation"))
        found.append(out)
    return found
