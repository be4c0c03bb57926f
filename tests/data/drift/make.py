"""Makes golden.json: distances and evidence, computed by numpy and scipy alone.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install numpy==2.4.6 scipy==1.17.1
    /tmp/golden/bin/python tests/data/drift/make.py

The formulas are those of docs/drift.md, written a second time; nothing of Binnacle runs here.
console/core/tests/drift.rs holds our figures against these to 1e-9.
"""

import json
import pathlib

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2, ks_2samp, norm

K = 20
TAU = 0.1
rng = np.random.default_rng(20)


def ranks(parts, m):
    return np.arange(parts + 1) * (m + 1) // parts


def distances(reference, live):
    m, n = len(reference), len(live)
    ordered = np.sort(reference)
    at = ranks(K, m)
    edges = ordered[at[1:-1] - 1]
    gaps = np.diff(at)
    counts = np.bincount(np.searchsorted(edges, live, side="left"), minlength=K)
    p = np.maximum(gaps / (m + 1), 0.5 / (m + 1))
    q = np.maximum(counts / n, 0.5 / n)
    quantiles = lambda x: np.sort(x)[np.clip(ranks(200, len(x)), 1, len(x)) - 1]
    steps = np.repeat((gaps / (m + 1) - counts / n) / 10, 10)
    apart = np.abs(np.concatenate([[0.0], np.cumsum(steps)]))
    own = quantiles(reference)
    sd = np.std(reference)
    return {
        "reference": reference.tolist(),
        "live": live.tolist(),
        "edges": edges.tolist(),
        "gaps": gaps.tolist(),
        "counts": counts.tolist(),
        "psi": float(np.sum((p - q) * np.log(p / q))),
        "chance": [float(chi2.ppf(x, K - 1) * (1 / n + 1 / m)) for x in (0.025, 0.975)],
        "ks": float(ks_2samp(np.repeat(np.arange(K), gaps), np.repeat(np.arange(K), counts)).statistic),
        "wasserstein": float(np.trapezoid(apart, own) / sd),
        "between": float(np.trapezoid(np.abs(own - quantiles(live)), dx=1 / 200) / sd),
    }


def experts():
    p0 = np.full(K, 1 / K)
    u = (np.arange(K) + 0.5) / K
    x, z = 2 * u - 1, norm.ppf(u)
    phis = [
        z,
        (z**2 - 1) / np.sqrt(2),
        np.sqrt(5) * (3 * x**2 - 1) / 2,
        np.sqrt(7) * (5 * x**3 - 3 * x) / 2,
    ]
    table = []
    for theta in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        for sign in (1, -1):
            for phi in phis:
                w = p0 * np.exp(np.clip(sign * theta * phi, -20, 20))
                table.append(w / w.sum())

    def loss(first, size, part):
        q = p0.copy()
        q[first : first + size] *= 1 - part
        return q / q.sum()

    def spike(first, size, part):
        q = (1 - part) * p0
        q[first : first + size] += part / size
        return q

    for k in range(K):
        table += [spike(k, 1, part) for part in (0.03, 0.1, 0.3)]
        table += [loss(k, 1, part) for part in (0.5, 0.9)]
    for size in (2, 4):
        for first in range(0, K, size):
            table += [loss(first, size, part) for part in (0.5, 0.9)]
            table.append(spike(first, size, 0.1))
    return np.array(table)


def nearest(q):
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        p = np.clip(q / np.exp(middle), (1 - TAU) / K, (1 + TAU) / K)
        low, high = (middle, high) if p.sum() > 1 else (low, middle)
    return p


def evidence(m, batches):
    table = experts()
    ratios = np.log(table / np.array([nearest(q) for q in table]))
    c = np.diff(ranks(K, m)).astype(float)
    a, b = np.zeros(len(table)), np.zeros(len(table))
    means = []
    for n in batches:
        total, size = c.sum(), n.sum()
        null = gammaln(total) - gammaln(total + size) + np.sum(gammaln(c + n) - gammaln(c))
        a = (a + 1) * np.exp(np.log(table) @ n - null)
        b = (b + 1) * np.exp(ratios @ n)
        c += n
        means.append([float(a.mean()), float(b.mean())])
    return {"m": m, "batches": [n.tolist() for n in batches], "means": means}


def main():
    even = np.full(K, 1 / K)
    tilted = even * np.exp(0.3 * norm.ppf((np.arange(K) + 0.5) / K))
    golden = {
        "distances": [
            distances(rng.normal(size=m), rng.normal(0.3, 1.2, size=n))
            for m, n in ((57, 40), (397, 150), (800, 1000))
        ],
        "evidence": [
            evidence(m, [rng.multinomial(16, q / q.sum()) for _ in range(30)])
            for m, q in ((50, even), (500, even), (20000, tilted))
        ],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden) + "\n")


main()
