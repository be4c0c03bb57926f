"""The tests of "Failing Loudly" on the images that Binnacle's detector was given.

    python paper.py FOLDER SET

Each reduces an image to some numbers, holds those of the images that came in against those of the
reference that nothing was learned from, number by number, by the two-sample test of Kolmogorov and
Smirnov, and finds a shift where the least p, times the numbers, is at most the level (Bonferroni).
The paper holds n images against n; here they are held against all, which finds more. BBSDs are the
outputs of a classifier: a perceptron of one layer here, a residual network there. The last test is
the paper's best. The first takes Binnacle's numbers, to tell the numbers from the detector.
Prints, for each, the share found without a shift and with each, by size.
"""

import json
import pathlib
import sys

import numpy as np
from scipy.stats import ks_2samp
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.random_projection import SparseRandomProjection

NUMBERS = 38
REDUCED = 32


def reductions(pixels, numbers, labels, learned, seed):
    """By name, what makes a table of numbers of the ids of images."""
    own = pixels[learned]
    pca = PCA(REDUCED, random_state=seed).fit(own)
    srp = SparseRandomProjection(REDUCED, random_state=seed).fit(own)
    net = MLPClassifier((128,), max_iter=15, random_state=seed).fit(own, labels[learned])
    return {
        "KS on Binnacle's numbers": lambda ids: numbers[ids],
        "KS on pixels": lambda ids: pixels[ids],
        "KS on 32 principal components": lambda ids: pca.transform(pixels[ids]),
        "KS on 32 sparse projections": lambda ids: srp.transform(pixels[ids]),
        "KS on BBSDs": lambda ids: net.predict_proba(pixels[ids]),
    }


def farthest(right, left, table, n):
    """The number that lies farthest apart in the first n rows: its place. `right` and `left` are
    the shares of the reference at or below a value and below it."""
    order = np.argsort(table[:n], axis=0, kind="stable")
    values, right, left = (np.take_along_axis(x[:n], order, 0) for x in (table, right, left))
    apart = values[1:] != values[:-1]
    at_or_below = np.arange(1, n + 1)[:, None] / n
    last = np.vstack([apart, np.ones((1, values.shape[1]), bool)])
    first = np.vstack([np.ones((1, values.shape[1]), bool), apart])
    above = np.where(last, np.abs(at_or_below - right), 0)
    below = np.where(first, np.abs(at_or_below - 1 / n - left), 0)
    return int(np.argmax(np.maximum(above, below).max(0)))


def decisions(reference, table, sizes, level):
    """Whether the first n rows differ from the reference, for each n; None past the last row."""
    ordered = np.sort(reference, axis=0)
    columns = range(table.shape[1])
    shares = lambda side: np.stack(
        [np.searchsorted(ordered[:, at], table[:, at], side) for at in columns], 1
    ) / len(ordered)
    right, left = shares("right"), shares("left")
    found = []
    for n in sizes:
        if n > len(table):
            found.append(None)
            continue
        at = farthest(right, left, table, n)
        p = ks_2samp(ordered[:, at], table[:n, at], method="asymp").pvalue
        found.append(p * table.shape[1] <= level)
    return found


def share(decided):
    """Of each size, the share of streams in which it was found."""
    known = [[x for x in column if x is not None] for column in zip(*decided)]
    return [sum(column) / len(column) if column else None for column in known]


def main(folder, name):
    asked = json.loads((folder / f"{name}-runs.json").read_text())
    sizes = json.loads((folder / f"{name}.json").read_text())
    size = sizes["height"] * sizes["width"]
    pixels = np.fromfile(folder / f"{name}.f32", "<f4").reshape(-1, size)
    numbers = np.fromfile(folder / f"{name}.f64", "<f8").reshape(-1, NUMBERS)
    labels = np.fromfile(folder / f"{name}.u8", "u1")
    decide = lambda held, table: decisions(held, table, asked["sizes"], asked["level"])
    plain, shifted = {}, {}
    for seed, run in enumerate(asked["runs"]):
        learned, held = np.split(np.array(run["reference"]), [asked["learned"]])
        for test, reduce in reductions(pixels, numbers, labels, learned, seed).items():
            reference = reduce(held)
            own = plain.setdefault(test, [])
            own += [decide(reference, reduce(ids)) for ids in run["plain"]]
            for at, parts in enumerate(run["shifts"]):
                own = shifted.setdefault(test, {}).setdefault(at, [])
                own += [decide(reference, reduce(ids)) for ids in parts]
    told = [
        {
            "name": test,
            "plain": share(plain[test]),
            "shifts": [share(decided) for decided in shifted[test].values()],
        }
        for test in plain
    ]
    print(json.dumps(told))


if __name__ == "__main__":
    # The perceptron is stopped early on purpose, and says so.
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
