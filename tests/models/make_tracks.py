"""Write the bigWig file of the tests into tests/testthat/tracks/, by pyBigWig.

    /usr/bin/python3 tests/models/make_tracks.py

Debian: python3-pybigwig.
"""

import pathlib

import pyBigWig

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "tracks"
OUT.mkdir(exist_ok=True)
track = pyBigWig.open(str(OUT / "not_finite.bw"), "w")
track.addHeader([("chr1", 100000)])
starts = [1000, 5000, 7000, 9000]
track.addEntries(["chr1"] * 4, starts, ends=[start + 100 for start in starts],
                 values=[3.0, float("nan"), float("inf"), 7.0])
track.close()
