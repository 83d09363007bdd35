"""Makes bikes.csv from the copy of the data that the PyPI package ISLP 0.6.0 carries (ISLP/data/Bikeshare.csv).

    pip download --no-deps ISLP==0.6.0 && python prepare.py ISLP-0.6.0-py3-none-any.whl > bikes.csv

The source scales the weather to 0..1 (UCI Machine Learning Repository, data set 275, hourly file): temperature is (t + 8) / 47 and
apparent temperature (t + 16) / 66 in degrees Celsius, humidity is divided by 100 %, wind speed by 67 km/h. This undoes it, so that
people can read the numbers. Of the two hours that the clocks skip or repeat nothing is made up: hours without a row stay away.
"""

import csv
import datetime
import io
import sys
import zipfile


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as z:
        rows = list(csv.DictReader(io.TextIOWrapper(z.open("ISLP/data/Bikeshare.csv"), "utf-8")))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["time", "hour", "weekday", "workingday", "holiday", "temperature", "feels_like", "humidity", "windspeed", "riders"])
    new_year = datetime.datetime(2011, 1, 1)
    for r in rows:
        at = new_year + datetime.timedelta(days=int(r["day"]) - 1, hours=int(r["hr"]))
        out.writerow([
            at.strftime("%Y-%m-%dT%H:%M:%SZ"), int(r["hr"]), int(r["weekday"]), int(r["workingday"]), int(r["holiday"]),
            round(float(r["temp"]) * 47 - 8, 1), round(float(r["atemp"]) * 66 - 16, 1), round(float(r["hum"]) * 100),
            round(float(r["windspeed"]) * 67, 1), int(r["bikers"]),
        ])


if __name__ == "__main__":
    main(sys.argv[1])
