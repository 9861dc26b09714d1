"""The arrays that the kernels share, bundled by what they are about. All indices are rows; days count from the start."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Shorts = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

LAYERS = ("household", "class", "team", "care_home", "community", "transit", "surroundings", "outside")
"""Where people are infected; the last two are not contacts: water or heat around them, and places beyond the city."""
HOUSEHOLD, CLASS, TEAM, CARE_HOME, COMMUNITY, TRANSIT, SURROUNDINGS, OUTSIDE = range(8)

AGE_GROUPS = 18
"""Five-year groups 0-4 ... 80-84 and 85 and older, as in Mistry et al. (2021)."""

PARTS = 8
"""Parts that the people are dealt out to; each is one thread's at a time. Results do not depend on the number of threads."""

BLOCK = 10
"""Two to this power neighbours in the order of people belong to one part."""

NO_BED, OVERFLOW = 0, 65535
"""Values of `Active.bed` of who needs none, and of who needs one and got none; else the hospital's row plus one."""


class Town(NamedTuple):
    """Who belongs together: people are sorted by zone, then household. Shapes: (people), (households + 1), (zones + 1), ..."""

    age_group: Bytes
    household_start: Ints
    zone_start: Ints
    group: Ints  # class, team or care-home wing of each person, -1 for none
    group_start: Ints
    group_member: Ints
    group_layer: Bytes


PERSON = np.dtype(
    {
        "names": ["state", "age_group", "past", "variant", "dose", "household_size", "layer", "zone", "day", "dose_day",
                  "home_until", "household_first", "group"],
        "formats": ["u1", "u1", "u1", "u1", "u1", "u1", "u1", "u2", "u2", "u2", "u2", "i4", "i4"],
        "offsets": [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20],
        "itemsize": 24,
    }
)  # fmt: skip
"""What one person carries through a run, side by side in memory: to look a stranger up costs one visit to memory."""


class Health(NamedTuple):
    """Views of one array of `PERSON`, by field. `day` is that of the last infection, or of recovery once recovered."""

    state: Bytes
    age_group: Bytes
    past: Bytes  # infections so far
    variant: Bytes
    dose: Bytes
    household_size: Bytes
    layer: Bytes  # of the group, 0 for none
    zone: Shorts
    day: Shorts
    dose_day: Shorts
    home_until: Shorts  # last day in isolation or quarantine, 0 for none
    household_first: Ints
    group: Ints


class Active(NamedTuple):
    """People on their way through the disease, packed by part: shape (PARTS, room); `count` (PARTS) says how many."""

    count: Longs  # type: ignore[assignment]
    person: Ints
    due: Shorts  # day of the next change
    born: Shorts  # day of infection
    state: Bytes
    following: Bytes  # state after the next change
    variant: Bytes
    age_group: Bytes
    infectivity: Floats
    household_first: Ints
    household_size: Shorts
    group: Ints
    group_first: Ints
    group_size: Shorts
    layer: Bytes
    zone: Shorts
    bed: Shorts


class Law(NamedTuple):
    """A disease as tables: by state (S), successor (K), age group (A), quantile (Q), day (D), variant (V), dose."""

    first: int  # state of who has just been infected
    dead: int
    successors: Bytes  # (S) how many states may follow; 0 ends the course
    follows: Bytes  # (S, K)
    share: Floats  # (S, K, A) probability; the last successor takes the rest
    severe: Bytes  # (S, K) whether protection against severe illness lowers it
    quantile: Floats  # (S, K, Q) days in the state before that change
    open: Bytes  # (S) 1 where one can be infected
    infectivity: Floats  # (S, D) by days since infection
    activity: Floats  # (S) share of usual contacts outside the home
    symptoms: Bytes  # (S)
    bed: Bytes  # (S) 0 none, 1 ward, 2 intensive care
    without_bed: Floats  # (S) added probability of death of who gets none
    susceptibility: Floats  # (A)
    infectivity_by_age: Floats  # (A)
    spread: Floats  # (Q) quantiles of the infectivity of persons, mean 1
    variant_infectivity: Floats  # (V)
    variant_severity: Floats  # (V)
    cross: Floats  # (V, V) protection by an infection with the first against the second
    waning: Floats  # (D) what is left of it by days since recovery
    past_severe: Floats  # (2) factor on severe illness: first infection, later ones
    vaccine: Floats  # (doses + 1, D) protection against infection by days since the dose
    vaccine_severe: Floats  # (doses + 1, D) factor on severe illness
    escape: Floats  # (V) share of the vaccine's protection that the variant escapes


class Policy(NamedTuple):
    """What measures leave of contacts today, by layer and zone of who spreads and of who is met."""

    source: Floats  # (6, Z)
    target: Floats  # (6, Z)
    stay: Floats  # (Z) share of contacts beyond one's zone that do not happen
    open: Bytes  # (groups) 1 where the class or team meets


class Mixing(NamedTuple):
    """Zones in which people of a zone meet others, by community (0) and transit (1): alias tables (2, Z, Z), factor (2, Z)."""

    threshold: Floats
    alias: Shorts
    factor: Floats


class Met(NamedTuple):
    """Contacts of one day that infect, by part of who spreads: (PARTS, room)."""

    count: Longs  # type: ignore[assignment]
    person: Ints
    code: Shorts  # layer + 8 * variant
    born: Shorts  # day on which the infector was infected


class Drawn(NamedTuple):
    """Contacts of one day before anyone is looked at, by part: (PARTS, room). `target`: a person or a place in group_member."""

    count: Longs  # type: ignore[assignment]
    target: Ints
    slot: Ints
    layer: Bytes
    key: npt.NDArray[np.uint64]


class Events(NamedTuple):
    """What the day's changes ask for: slots of who needs a bed, persons who begin to have symptoms, beds given back."""

    bed_count: Longs
    bed_slot: Ints
    onset_count: Longs
    onset: Ints
    freed: Ints  # (PARTS, hospitals, 2)
    touched: Longs  # (PARTS) of no meaning: it keeps the compiler from dropping the reads that warm the cache


class Tally(NamedTuple):
    """Counts of the run by part; `flow` is the day's change and is emptied by whoever reads it."""

    flow: Ints  # (PARTS, Z, S)
    new: Ints  # (PARTS, Z)
    place: Longs  # (PARTS, layers, A)
    entered: Longs  # (PARTS, S, A)
    offspring: Longs  # (PARTS, days)
    variants: Longs  # (PARTS, V)
