"""Other detectors on the streams that Binnacle's was given, at as many false alarms.

    python peers.py FOLDER SET

A stream is images one after the other, each 38 numbers, with a reference of images. Each detector
has one threshold, found on streams without a shift: it gives at most as many alarms there as
Binnacle gave. Then it runs on other streams without a shift, which checks that, and on those with
one. Prints, for each detector, the share of unshifted streams in which it alarms, and for each
shift the share of streams in which it does and the median of images until then (those in which it
never does count as endless).
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
from evidently.calculations.stattests import get_stattest
from evidently.core import ColumnType
from river.drift import ADWIN
from scipy.stats import ks_2samp, kstwobign

NUMBERS = 38
WINDOW = 100
# All images so far are looked at as often as Binnacle looks, and past a window more seldom.
GROWS_BY = (10, 50)
# ADWIN looks as often as Binnacle does.
CLOCK = 10
FED = 1_000
# From where it alarms most easily; its own default is 0.002.
DELTAS = [0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3]
DELTAS += [10.0**-power for power in range(4, 9)]


class Case:
    """A stream and its reference, and where values lie in that. Hundreds are held at once, so
    tables are made when they are asked for."""

    def __init__(self, numbers, reference, stream):
        self.numbers, self.ids, self.stream = numbers, reference, numbers[stream]
        self.left, self.right = self.ranks(self.stream)

    @property
    def reference(self):
        return self.numbers[self.ids]

    def ranks(self, table):
        """The shares of the reference below each value, and at or below it."""
        columns = list(zip(np.sort(self.reference, axis=0).T, table.T))
        side = lambda side: np.stack([np.searchsorted(a, b, side) for a, b in columns], 1)
        return side("left") / len(self.ids), side("right") / len(self.ids)

    def furthest(self, begin, end):
        """The greatest distance of Kolmogorov and Smirnov of a window, over all numbers."""
        n = end - begin
        order = np.argsort(self.stream[begin:end], axis=0, kind="stable")
        pick = lambda table: np.take_along_axis(table[begin:end], order, 0)
        values, right, left = pick(self.stream), pick(self.right), pick(self.left)
        apart = values[1:] != values[:-1]
        edge = np.ones((1, values.shape[1]), bool)
        share = np.arange(1, n + 1)[:, None] / n
        above = np.where(np.vstack([apart, edge]), np.abs(share - right), 0)
        below = np.where(np.vstack([edge, apart]), np.abs(share - 1 / n - left), 0)
        return max(above.max(), below.max())


def windows(length):
    return [(end - WINDOW, end) for end in range(WINDOW, length + 1, WINDOW)]


def ks_windows(case):
    """Of each window of 100 images, the greatest distance: that with the least p."""
    return [(end, case.furthest(begin, end)) for begin, end in windows(len(case.stream))]


def ks_growing(case):
    """The same of all images so far, as a score that does not depend on how many they are."""
    m = len(case.ids)
    length = len(case.stream)
    first = range(GROWS_BY[0], min(WINDOW, length + 1), GROWS_BY[0])
    looks = [*first, *range(WINDOW, length + 1, GROWS_BY[1])]
    return [(n, case.furthest(0, n) * np.sqrt(n * m / (n + m))) for n in looks]


def evidently(case):
    """Of each window, Evidently's score of each number, by the test that it takes by itself."""
    looks, reference = [], case.reference
    for begin, end in windows(len(case.stream)):
        scores = []
        for at in range(NUMBERS):
            own, live = reference[:, at], case.stream[begin:end, at]
            scores.append(evidently.test.func(own, live, ColumnType.Numerical, 0.1)[0])
        looks.append((end, np.sort(scores)[::-1]))
    return looks


def default_test(case):
    """The test that Evidently takes for numbers, by itself."""
    at = NUMBERS - 1
    own, live = pd.Series(case.reference[:, at]), pd.Series(case.stream[:WINDOW, at])
    return get_stattest(own, live, ColumnType.Numerical, None)


def adwin(case, delta):
    """After how many images the first of ADWINs, one for each number, sees a change; each was fed
    a thousand images of the reference before. Values are ranks in the reference: ADWIN's bound is
    for [0, 1]."""
    first = None
    middle = (case.left + case.right) / 2
    before = sum(case.ranks(case.reference[:FED])) / 2
    for own, live in zip(before.T.tolist(), middle.T.tolist()):
        detector = ADWIN(delta=delta, clock=CLOCK)
        for x in own:
            detector.update(x)
        for n, x in enumerate(live[: (first or len(live) + 1) - 1], 1):
            detector.update(x)
            if detector.drift_detected:
                first = n
                break
    return first


def first_above(looks, threshold):
    return next((n for n, score in looks if score > threshold), None)


def told(name, detects, cases, setting):
    found = {what: [detects(case) for case in own] for what, own in cases.items()}
    share = lambda times: sum(n is not None for n in times) / len(times)
    median = lambda times: sorted(times, key=lambda n: n or np.inf)[(len(times) - 1) // 2]
    shifts = [[share(times), median(times)] for what, times in found.items() if what != "check"]
    return {"name": name, "setting": setting, "check": share(found["check"]), "shifts": shifts}


def by_score(name, score, cases, calibrate, alarms, setting):
    """A detector with a score: the threshold is what the calibration's streams allow."""
    cached = {id(case): score(case) for own in [calibrate, *cases.values()] for case in own}
    most = sorted((max(s for _, s in cached[id(case)]) for case in calibrate), reverse=True)
    limit = most[alarms]
    detects = lambda case: first_above(cached[id(case)], limit)
    return told(name, detects, cases, setting(limit, calibrate[0]))


def by_delta(cases, calibrate, alarms):
    for delta in DELTAS:
        given = 0
        for case in calibrate:
            given += adwin(case, delta) is not None
            if given > alarms:
                break
        else:
            break
    detects = lambda case: adwin(case, delta)
    return told("ADWIN of each number", detects, cases, f"δ = {delta:g}")


def main(folder, name):
    asked = json.loads((folder / f"{name}-streams.json").read_text())
    numbers = np.fromfile(folder / f"{name}.f64", "<f8").reshape(-1, NUMBERS)
    case = lambda pair: Case(numbers, *pair)
    calibrate = [case(pair) for pair in asked["calibrate"]]
    cases = {"check": [case(pair) for pair in asked["check"]]}
    for at, own in enumerate(asked["shifts"]):
        cases[at] = [case(pair) for pair in own]
    evidently.test = default_test(calibrate[0])
    p = lambda limit, n, m: kstwobign.sf(limit * np.sqrt(n * m / (n + m))) * NUMBERS
    alarms = asked["alarms"]
    nth = lambda at: lambda case: [(n, scores[at]) for n, scores in cached[id(case)]]
    cached = {id(c): evidently(c) for own in [calibrate, *cases.values()] for c in own}
    distance = lambda limit, _: f"{evidently.test.display_name} > {limit:.2f}"
    ks = "KS, Bonferroni, "
    print(json.dumps([
        by_score(ks + f"each {WINDOW} images", ks_windows, cases, calibrate, alarms,
                 lambda limit, c: f"p < {p(limit, WINDOW, len(c.ids)):.1e}"),
        by_score(ks + "all images so far", ks_growing, cases, calibrate, alarms,
                 lambda limit, _: f"p < {kstwobign.sf(limit) * NUMBERS:.1e}"),
        by_score("Evidently, any number", nth(0), cases, calibrate, alarms, distance),
        by_score("Evidently, half of them", nth(NUMBERS // 2 - 1), cases, calibrate, alarms,
                 distance),
        by_delta(cases, calibrate, alarms),
    ]))


def check():
    """The distance above is scipy's."""
    rng = np.random.default_rng(1)
    table = np.round(rng.normal(size=(900, NUMBERS)), 1)
    case = Case(table, np.arange(700), np.arange(700, 900))
    scipy = max(ks_2samp(a, b).statistic for a, b in zip(table[:700].T, table[730:830].T))
    assert abs(case.furthest(30, 130) - scipy) < 1e-12


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    check()
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
