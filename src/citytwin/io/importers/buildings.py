"""Buildings: use, storeys, height, floor area and dwellings of each footprint, from tags, parts and documented rules.

Rules for what no tag says (docs/explanation/what-is-estimated.md); the attributes they fill are named in `estimated`:
levels from height / 3 m; else the median of known buildings of the same use within 500 m; else a default by use.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from citytwin.io.importers import values

STOREY = 3.0  # m; the height that OpenStreetMap's Simple 3D Buildings page gives a level
NEIGHBOURS, REACH = 9, 500.0  # known buildings asked, within metres
DWELLING = 100.0  # m2 of gross floor area a home; see docs/explanation/what-is-estimated.md
SMALL = 25.0  # m2: a footprint below is a shed or garage unless a tag says that people live there

# building=* value -> use. Values that are not here fall to the other tags, then to the land use around them.
USES: dict[str, str] = {
    **dict.fromkeys(("house", "detached", "semidetached_house", "semi", "terrace", "bungalow", "cabin", "static_caravan",
                     "houseboat", "villa", "farm", "semi_detached", "cottage", "hut", "chalet", "trullo"), "house"),
    **dict.fromkeys(("apartments", "residential", "dormitory", "block", "tower_block", "barracks"), "apartments"),
    **dict.fromkeys(("retail", "commercial", "office", "hotel", "supermarket", "kiosk", "shop", "mall", "restaurant",
                     "warehouse", "hostel", "pub", "bank", "store"), "commercial"),
    **dict.fromkeys(("industrial", "factory", "manufacture", "works", "hangar", "digester", "storage_tank", "silo",
                     "transformer_tower", "power", "service", "brewery", "data_center"), "industrial"),
    **dict.fromkeys(("public", "civic", "government", "church", "chapel", "cathedral", "mosque", "temple", "synagogue",
                     "shrine", "monastery", "train_station", "transportation", "fire_station", "police", "museum",
                     "townhall", "library", "stadium", "sports_hall", "sports_centre", "grandstand", "religious",
                     "community_centre", "pavilion", "castle", "theatre", "bus_station", "public_building"), "public"),
    **dict.fromkeys(("school", "kindergarten", "university", "college", "education"), "education"),
    **dict.fromkeys(("hospital", "clinic", "healthcare", "nursing_home"), "health"),
    **dict.fromkeys(("farm_auxiliary", "barn", "cowshed", "stable", "sty", "greenhouse", "agricultural", "slurry_tank",
                     "livestock", "poultry_house"), "farm"),
    **dict.fromkeys(("garage", "garages", "shed", "roof", "carport", "ruins", "construction", "bridge", "utility",
                     "parking", "container", "tent", "toilets", "collapsed", "bunker", "outbuilding", "allotment_house",
                     "conservatory", "gatehouse", "tower", "water_tower", "ship", "abandoned"), "other"),
}  # fmt: skip
AMENITIES: dict[str, str] = {
    **dict.fromkeys(("school", "kindergarten", "university", "college", "childcare"), "education"),
    **dict.fromkeys(("hospital", "clinic", "doctors", "nursing_home"), "health"),
    **dict.fromkeys(("townhall", "place_of_worship", "police", "fire_station", "library", "theatre", "community_centre",
                     "courthouse", "arts_centre", "public_building", "monastery", "prison", "cinema"), "public"),
    **dict.fromkeys(("restaurant", "cafe", "bar", "fast_food", "bank", "pub", "fuel", "pharmacy", "marketplace"), "commercial"),
    **dict.fromkeys(("parking", "shelter", "toilets"), "other"),
}  # fmt: skip
LANDS: dict[str, str] = {
    "commercial": "commercial", "retail": "commercial", "industrial": "industrial", "farmyard": "farm", "school": "education",
    "education": "education", "university": "education", "hospital": "health", "allotments": "other", "railway": "industrial",
    "port": "industrial", "depot": "industrial", "military": "public", "religious": "public", "quarry": "industrial",
}  # fmt: skip
DEFAULT_LEVELS = {
    "house": 2.0, "apartments": 4.0, "commercial": 2.0, "industrial": 1.0, "public": 2.0, "education": 2.0, "health": 3.0,
    "farm": 1.0, "other": 1.0,
}  # fmt: skip
APARTMENTS_FROM = 300.0  # m2: an untyped residential footprint above is taken for apartments
HOUSING = ("house", "apartments")
LIVED_IN = tuple(value for value, use in USES.items() if use in HOUSING)
ADDRESSED = 0.5  # share of the floor area of housing with an address from which addresses are taken to be complete


def make_buildings(
    raw: gpd.GeoDataFrame, parts: gpd.GeoDataFrame, land: gpd.GeoDataFrame, address: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Table `building` from OpenStreetMap areas, building parts, land-use areas and address points (in the city's CRS)."""
    raw = raw.reset_index(drop=True)
    footprint = raw.geometry.area.to_numpy()
    guessed: dict[str, np.ndarray] = {}
    use, guessed["use"] = _use(raw, land, footprint)
    said, tall = _with_parts(raw, parts)
    levels, height, guessed["levels"], guessed["height"] = _storeys(raw, use, said, tall, footprint)
    floor_area = footprint * np.maximum(levels, 1.0)
    guessed["floor_area"] = guessed["levels"]
    dwellings, guessed["dwellings"] = _dwellings(raw, use, floor_area, _addresses(raw, address))
    return gpd.GeoDataFrame(
        {
            "key": raw["key"], "name": raw["name"].fillna(""), "use": use, "levels": levels, "height": height,
            "floor_area": floor_area, "dwellings": dwellings, "material": raw["building:material"].fillna(""),
            "year": values.each(raw["start_date"], _year), "class": raw["building"],
            "estimated": listed(guessed, len(raw)),
        },
        geometry=raw.geometry, crs=raw.crs,
    )  # fmt: skip


def listed(guessed: dict[str, np.ndarray], size: int) -> pd.Series:
    """For each row the names of the attributes that were filled by a rule, comma-separated."""
    text = np.full(size, "", dtype=object)
    for name, where in guessed.items():
        text = np.where(where, np.where(text == "", name, text + "," + name), text)
    return pd.Series(text, dtype="str")


def _year(text: str) -> float:
    year = values.first_number(text)
    return year if 800 <= year <= 2100 else values.NAN


def _use(raw: gpd.GeoDataFrame, land: gpd.GeoDataFrame, footprint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Use of each building, and where it is a guess (building=yes and no other tag tells)."""
    use = raw["building"].map(USES)
    use = raw["building:use"].map(USES).fillna(use)
    use = use.fillna(raw["amenity"].map(AMENITIES))
    for tag, kind in (("healthcare", "health"), ("shop", "commercial"), ("office", "commercial"), ("craft", "industrial")):
        use = use.mask(use.isna() & raw[tag].notna(), kind)
    lodging = raw["tourism"].isin(["hotel", "hostel", "motel", "guest_house"])
    use = use.mask(use.isna() & lodging, "commercial").mask(use.isna() & raw["tourism"].notna() & ~lodging, "public")
    use = use.mask(use.isna() & raw["man_made"].notna(), "industrial").mask(use.isna() & raw["leisure"].notna(), "public")
    guess = use.isna().to_numpy()
    around = _land_around(raw, land, guess).map(LANDS)
    use = use.fillna(around)
    open_ = use.isna().to_numpy()
    rest = np.where(footprint < SMALL, "other", np.where(footprint >= APARTMENTS_FROM, "apartments", "house"))
    return np.where(open_, rest, use.to_numpy(dtype=object)).astype(str), guess


def _land_around(raw: gpd.GeoDataFrame, land: gpd.GeoDataFrame, where: np.ndarray) -> pd.Series:
    """The smallest land-use area around each building of `where`: its OpenStreetMap value."""
    found = pd.Series(pd.NA, index=raw.index, dtype="str")
    rows = np.flatnonzero(where)
    areas = land[land["landuse"].notna() | land["amenity"].isin(["school", "university", "hospital"])]
    if not len(rows) or not len(areas):
        return found
    kind = areas["landuse"].fillna(areas["amenity"]).to_numpy()
    tree = shapely.STRtree(areas.geometry.to_numpy())
    i, j = tree.query(shapely.point_on_surface(raw.geometry.to_numpy()[rows]), predicate="within")
    order = np.argsort(-areas.geometry.area.to_numpy()[j], kind="stable")  # the smallest is written last
    found.iloc[rows[i[order]]] = kind[j[order]]
    return found


def _with_parts(raw: gpd.GeoDataFrame, parts: gpd.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Levels and height as tagged, on the outline or else the most of its parts; NaN where nothing is said."""
    levels, height = _tagged(raw)
    if len(parts):
        part_levels, part_height = _tagged(parts)
        tree = shapely.STRtree(raw.geometry.to_numpy())
        i, j = tree.query(shapely.point_on_surface(parts.geometry.to_numpy()), predicate="within")
        for own, of_part in ((levels, part_levels), (height, part_height)):
            most = np.full(len(raw), -np.inf)
            np.fmax.at(most, j, of_part[i])
            fill = np.isnan(own) & np.isfinite(most)
            own[fill] = most[fill]
    return levels, height


def _tagged(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    levels = values.each(frame["building:levels"], values.levels)
    height = values.each(frame["height"].fillna(frame["building:height"]), values.height)
    return levels, height


def _storeys(
    raw: gpd.GeoDataFrame, use: np.ndarray, levels: np.ndarray, height: np.ndarray, footprint: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Levels, height, and where each of them is a guess."""
    no_levels, no_height = np.isnan(levels), np.isnan(height)
    levels = np.where(no_levels & ~no_height, np.clip(np.round(height / STOREY), 1, None), levels)
    default = pd.Series(use).map(DEFAULT_LEVELS).to_numpy(dtype=float)
    around = _median_of_neighbours(raw, use, levels)
    slight = (footprint < SMALL) | (use == "other")
    levels = np.where(np.isnan(levels), np.where(slight | np.isnan(around), np.where(slight, 1.0, default), around), levels)
    height = np.where(no_height, levels * STOREY, height)
    return levels, height, no_levels, no_height


def _median_of_neighbours(raw: gpd.GeoDataFrame, use: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Median levels of the nearest known buildings of the same use within REACH; NaN with fewer than three of them."""
    result = np.full(len(raw), np.nan)
    centre = shapely.get_coordinates(shapely.centroid(raw.geometry.to_numpy()))
    for kind in np.unique(use):
        rows = np.flatnonzero(use == kind)
        known, asked = rows[~np.isnan(levels[rows])], rows[np.isnan(levels[rows])]
        if len(known) < 3 or not len(asked):
            continue
        count = min(NEIGHBOURS, len(known))
        distance, near = cKDTree(centre[known]).query(centre[asked], k=count, distance_upper_bound=REACH)
        found = np.append(levels[known], np.nan)[near]
        enough = np.isfinite(distance).sum(axis=1) >= 3
        result[asked[enough]] = np.nanmedian(found[enough], axis=1)
    return result


def _addresses(raw: gpd.GeoDataFrame, address: gpd.GeoDataFrame) -> np.ndarray:
    """Number of addresses of each building: its own, or those of the points inside it."""
    own = raw["addr:housenumber"].notna().to_numpy().astype(float)
    inside = np.zeros(len(raw))
    if len(address):
        i, _ = shapely.STRtree(address.geometry.to_numpy()).query(raw.geometry.to_numpy(), predicate="intersects")
        inside = np.bincount(i, minlength=len(raw)).astype(float)
    return np.asarray(np.maximum(own, inside))


def _dwellings(
    raw: gpd.GeoDataFrame, use: np.ndarray, floor_area: np.ndarray, addresses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Homes in each building: as tagged (building:flats), one a house, floor area by DWELLING in apartments.

    Where addresses are mapped (ADDRESSED of the floor area of housing has one), a building=yes without an address is an
    outbuilding, and a building holds no fewer homes than addresses.
    """
    told = values.each(raw["building:flats"], values.first_number)
    told = np.where((told >= 0) & (told < 5000), told, np.nan)
    one = (use == "house") & ~raw["building"].isin(["terrace"]).to_numpy()
    rule = np.where(one, 1.0, np.maximum(np.round(floor_area / DWELLING), 1.0))
    housing = np.isin(use, HOUSING) & (raw.geometry.area.to_numpy() >= SMALL)
    known = floor_area[housing & (addresses > 0)].sum() >= ADDRESSED * floor_area[housing].sum()
    if known:
        housing &= (addresses > 0) | raw["building"].isin(LIVED_IN).to_numpy()
        rule = np.maximum(np.where(one, 1.0, rule), addresses)
    return np.where(np.isnan(told), np.where(housing, rule, 0.0), told), np.isnan(told)
