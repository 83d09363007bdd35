# /// script
# requires-python = ">=3.11,<3.12"
# dependencies = [
#   "numpy==2.3.5", "scipy==1.17.1", "pandas==2.3.3", "scikit-learn==1.9.1", "evidently==0.7.23", "statsmodels==0.15.0",
# ]
# ///
"""Makes the numeric parity vectors of internal/num: run `uv run test/parity/make_vectors.py`.

Each file in testdata holds inputs and what scipy, scikit-learn, statsmodels and Evidently make of them. They are committed, so that the Go
tests need no Python. Samples are written in full: a seed would give other numbers under another numpy.
"""

import json
import math
import os
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
import sklearn.metrics as skm
from evidently.legacy.calculations.stattests import registry
from evidently.legacy.core import ColumnType
from scipy import special, stats
from scipy.spatial import distance
from statsmodels.stats import proportion

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent / "testdata"
rng = np.random.default_rng(20240229)


def plain(x):
    """JSON has no NaN and no infinity: they are written as text."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, np.ndarray)):
        return [plain(v) for v in x]
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    if isinstance(x, (float, np.floating)):
        return float(x) if math.isfinite(x) else str(float(x))
    return x


def write(name, cases):
    HERE.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(plain(c), allow_nan=False) for c in cases)
    (HERE / name).write_text("[\n" + lines + "\n]\n")


def rounded(x, digits=4):
    return [round(float(v), digits) for v in x]


def samples():
    n = rng.normal
    yield "normal, small", rounded(n(0, 1, 30)), rounded(n(0.4, 1, 25))
    yield "normal, equal sizes", rounded(n(0, 1, 50)), rounded(n(0.6, 1, 50))
    yield "same distribution", rounded(n(0, 1, 120)), rounded(n(0, 1, 90))
    yield "lognormal", rounded(rng.lognormal(0, 1, 200)), rounded(rng.lognormal(0.2, 1, 150))
    yield "ties", rng.integers(0, 40, 150).tolist(), rng.integers(3, 45, 170).tolist()
    yield "disjoint", rounded(n(0, 1, 40)), rounded(n(100, 1, 40))
    yield "identical", (same := rounded(n(5, 2, 60))), same
    yield "constant reference", [3.0] * 25, rounded(n(3, 1, 30))
    yield "two values", rng.integers(0, 2, 80).tolist(), (rng.random(60) < 0.7).astype(int).tolist()
    yield "four values", rng.integers(0, 4, 100).tolist(), rng.integers(0, 3, 70).tolist()
    yield "new value", [0, 1, 2] * 20, [0, 1, 2, 3] * 10
    yield "large reference", rounded(n(0, 1, 1200), 3), rounded(n(0.1, 1.1, 300), 3)
    yield "large, few values", rng.integers(0, 5, 1100).tolist(), rng.integers(0, 4, 300).tolist()
    yield "large, two values", rng.integers(0, 2, 1100).tolist(), [1] * 90 + [0] * 10
    yield "huge scale", rounded(n(1e9, 1e5, 100), 1), rounded(n(1.0001e9, 1e5, 80), 1)


def drift():
    cases = []
    for name, ref, cur in samples():
        r, c = pd.Series(ref, dtype=float), pd.Series(cur, dtype=float)
        ks = stats.ks_2samp(r, c)
        case = {
            "name": name, "reference": ref, "current": cur, "ks": ks.statistic, "ks_p": ks.pvalue,
            "wasserstein": stats.wasserstein_distance(r, c), "evidently": {},
        }
        kind = ColumnType.Numerical
        default = registry.get_stattest(r, c, kind, None)
        result = default(r, c, kind, None)
        case["default"] = {"method": default.name, "score": result.drift_score, "drifted": bool(result.drifted), "threshold": result.actual_threshold}
        for method in ["ks", "wasserstein", "jensenshannon", "psi", "kl_div"]:
            result = registry.get_stattest(r, c, kind, method)(r, c, kind, None)
            case["evidently"][method] = {"score": result.drift_score, "drifted": bool(result.drifted)}
        cases.append(case)
    write("drift_numeric.json", cases)

    cases = []
    for name, ref, cur in [
        ("balanced", {"a": 50, "b": 30, "c": 20}, {"a": 45, "b": 35, "c": 10}),
        ("new category", {"a": 50, "b": 50}, {"a": 30, "b": 30, "z": 5}),
        ("lost category", {"a": 50, "b": 40, "c": 10}, {"a": 30, "b": 30}),
        ("two", {"yes": 70, "no": 30}, {"yes": 40, "no": 40}),
        ("one", {"only": 30}, {"only": 20}),
        ("one and another", {"only": 30}, {"only": 15, "other": 5}),
        ("large", {"a": 700, "b": 500, "c": 3}, {"a": 90, "b": 100, "c": 10}),
        ("tiny share", {"a": 30000, "b": 2}, {"a": 300, "c": 2}),
    ]:
        r = pd.Series([k for k, n in ref.items() for _ in range(n)])
        c = pd.Series([k for k, n in cur.items() for _ in range(n)])
        kind = ColumnType.Categorical
        default = registry.get_stattest(r, c, kind, None)
        result = default(r, c, kind, None)
        case = {"name": name, "reference": ref, "current": cur, "evidently": {}}
        case["default"] = {"method": default.name, "score": result.drift_score, "drifted": bool(result.drifted), "threshold": result.actual_threshold}
        for method in ["chisquare", "jensenshannon", "psi", "kl_div"]:
            result = registry.get_stattest(r, c, kind, method)(r, c, kind, None)
            case["evidently"][method] = {"score": result.drift_score, "drifted": bool(result.drifted)}
        keys = sorted(set(ref) | set(cur))
        p = np.array([ref.get(k, 0) for k in keys]) / len(r)
        q = np.array([cur.get(k, 0) for k in keys]) / len(c)
        case["js2"] = distance.jensenshannon(p, q, 2)
        case["tv"] = np.abs(p - q).sum() / 2
        cases.append(case)
    write("drift_categorical.json", cases)

    cases = []
    for name, low, high, n in [("unit", 0, 1, 100), ("odd", -3.7, 12.9, 12345), ("constant", 5, 5, 10), ("two", 1, 2, 2), ("one", 4, 4, 1), ("wide", -1e8, 1e9, 5000)]:
        x = np.linspace(low, high, n) if n > 1 else np.array([float(low)])
        cases.append({"name": name, "low": float(x.min()), "high": float(x.max()), "n": n, "edges": np.histogram_bin_edges(x, bins="sturges")})
    write("sturges.json", cases)


def distributions():
    cases = []

    def add(f, args, value):
        cases.append({"f": f, "args": [float(a) for a in args], "value": value})

    for z in [-38, -8.5, -3, -1.96, -0.5, -1e-9, 0, 0.3, 1, 2.5758, 6, 20]:
        add("normal_cdf", [z], stats.norm.cdf(z))
        add("normal_sf", [z], stats.norm.sf(z))
    for p in [1e-300, 1e-20, 1e-6, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999999]:
        add("normal_quantile", [p], stats.norm.ppf(p))
    for df in [1, 2, 3, 7, 30, 99, 1000, 50000]:
        for x in [1e-3, 0.5, 1, df * 0.5, df, df * 1.3, df * 2, df + 30]:
            add("chi2_sf", [x, df], stats.chi2.sf(x, df))
    for a in [0.1, 0.5, 1.5, 10, 19.9, 20, 250.5, 1e5]:
        for x in [a * 0.1, a * 0.9, a, a * 1.01, a * 1.5]:
            add("gamma_q", [a, x], special.gammaincc(a, x))
            add("gamma_p", [a, x], special.gammainc(a, x))
    for a, b in [(0.5, 0.5), (1, 3), (2.5, 30), (40, 0.5), (15, 200), (300, 450.5), (1e4, 2e4)]:
        for x in [0.01, 0.2, a / (a + b), 0.7, 0.99]:
            add("beta_i", [a, b, x], special.betainc(a, b, x))
    for df in [1, 2.5, 4, 17.3, 60, 1000, 1e6]:
        for t in [-5, -0.1, 0, 1e-4, 0.7, 1.96, 4, 12]:
            add("student_sf", [t, df], stats.t.sf(t, df))
        for p in [1e-8, 0.025, 0.4, 0.5, 0.9, 0.999]:
            add("student_quantile", [p, df], stats.t.ppf(p, df))
    for n in [1, 5, 30, 100, 140, 141, 500, 3000, 40000, 200000]:
        root = math.sqrt(n)
        for d in [0.4 / n, 0.7 / n, 1.5 / n, 0.5 / root, 0.87 / root, 1.2 / root, 1.48 / root, 1.9 / root, 2.5 / root, 0.6]:
            if 0 < d < 1:
                add("kolmogorov_sf", [d, n], stats.kstwo.sf(d, n))
                add("smirnov_sf", [d, n], special.smirnov(n, d))
    for n, m in [(1, 1), (3, 5), (10, 10), (7, 21), (50, 40), (99, 100), (500, 333), (1000, 1000), (10000, 37), (2000, 1999)]:
        en = n * m / (n + m)
        for z in [0.3, 0.7, 1.1, 1.6, 2.2]:
            lcm = math.lcm(n, m)
            d = min(1, round(z / math.sqrt(en) * lcm) / lcm)
            if d > 0:
                add("ks_p", [d, n, m], ks_p(d, n, m))
    for n, m in [(10001, 500), (20000, 15000), (50000, 800)]:
        for z in [0.5, 0.9, 1.4, 2.0]:
            d = z / math.sqrt(n * m / (n + m))
            add("ks_p", [d, n, m], stats.kstwo.sf(d, np.round(n * m / (n + m))))
    write("distributions.json", cases)


def ks_p(d, n, m):
    """The p-value that ks_2samp gives samples of n and m whose statistic is d."""
    from scipy.stats import _stats_py

    ok, _, p = _stats_py._attempt_exact_2kssamp(n, m, math.gcd(n, m), d, "two-sided")
    assert ok
    return p


def tests():
    cases = []

    def add(f, value, **args):
        cases.append({"f": f, "args": args, "value": value})

    for x, offset in [([3.0], 0), ([1.0, 2.0], 0), (rounded(rng.normal(2, 3, 37)), 0), (rounded(rng.lognormal(1, 1, 60)), 0), ([1e9 + v for v in (0.1, 0.2, 0.4, 0.9)], 1e9)]:
        a = np.array(x) - offset  # exact; numpy would lose digits of a mean near 1e9
        n = len(a)
        add("describe", [offset + a.mean(), a.var(ddof=1) if n > 1 else math.nan, stats.skew(a), stats.kurtosis(a), a.std()], a=x)
        qs = [0, 0.01, 0.1, 0.25, 0.333, 0.5, 0.75, 0.9, 0.99, 1]
        add("quantile", np.quantile(np.array(x), qs), a=sorted(x), q=qs)
    for o, e in [([10, 20, 30], [12, 18, 30]), ([5, 5], [4, 6]), ([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8])]:
        add("chi2_goodness", list(stats.chisquare(o, e)), a=o, b=e)
    for t in [[[10, 20], [30, 25]], [[5, 8, 12], [9, 3, 20], [14, 6, 2]]]:
        r = stats.chi2_contingency(t, correction=False)
        add("chi2_contingency", [r.statistic, r.pvalue, r.dof], table=t)
    for k1, n1, k2, n2 in [(12, 100, 5, 90), (0, 50, 3, 60), (40, 41, 300, 400), (500, 10000, 430, 10000), (1, 7, 0, 9)]:
        for alt, sm, sp in [("two-sided", "two-sided", "two-sided"), ("greater", "larger", "greater"), ("less", "smaller", "less")]:
            args = {"k1": k1, "n1": n1, "k2": k2, "n2": n2, "alternative": alt}
            add("two_proportion_z", list(proportion.proportions_ztest([k1, k2], [n1, n2], alternative=sm)), **args)
            add("fisher", [stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative=sp)[1]], **args)
        low, high = proportion.confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff")
        add("newcombe", [low, high], k1=k1, n1=n1, k2=k2, n2=n2)
    for k, n, level in [(0, 10, 0.95), (3, 10, 0.95), (10, 10, 0.9), (450, 1000, 0.99), (1, 100000, 0.95)]:
        add("wilson", list(proportion.proportion_confint(k, n, alpha=1 - level, method="wilson")), k1=k, n1=n, level=level)
    for a, b in [(rng.normal(0, 1, 20), rng.normal(0.5, 2, 35)), (rng.normal(0, 1, 4), rng.normal(3, 0.1, 3)), (rng.normal(10, 1, 200), rng.normal(10, 1, 150))]:
        a, b = rounded(a), rounded(b)
        for alt in ["two-sided", "greater", "less"]:
            r = stats.ttest_ind(a, b, equal_var=False, alternative=alt)
            add("welch", [r.statistic, r.pvalue, r.df], a=a, b=b, alternative=alt)
            c = b[: min(len(a), len(b))]
            d = a[: len(c)]
            r = stats.ttest_rel(d, c, alternative=alt)
            add("paired", [r.statistic, r.pvalue, r.df], a=d, b=c, alternative=alt)
    for p in [[0.01, 0.04, 0.03, 0.2], [0.5], [1e-8, 0.9, 0.02, 0.02, 0.6, 0.04, 1.0]]:
        add("benjamini_hochberg", stats.false_discovery_control(p), a=p)
    write("tests.json", cases)


def metrics():
    cases = []
    for n in [1, 2, 40]:
        y = rounded(rng.normal(50, 20, n))
        p = rounded(np.array(y) + rng.normal(1, 8, n))
        cases.append({"kind": "regression", "truth": y, "prediction": p, "value": {
            "mae": skm.mean_absolute_error(y, p), "rmse": skm.root_mean_squared_error(y, p), "mape": skm.mean_absolute_percentage_error(y, p),
            "r2": skm.r2_score(y, p) if n > 1 else math.nan, "bias": float(np.mean(np.array(p) - np.array(y)))}})
    for k, n in [(2, 60), (4, 90)]:
        y = [f"c{v}" for v in rng.integers(0, k, n)]
        p = [v if rng.random() < 0.7 else f"c{rng.integers(0, k + 1)}" for v in y]
        args = {"y_true": y, "y_pred": p, "zero_division": 0}
        cases.append({"kind": "classification", "truth": y, "prediction": p, "confusion": skm.confusion_matrix(y, p), "value": {
            "accuracy": skm.accuracy_score(y, p), "precision": skm.precision_score(average="macro", **args),
            "recall": skm.recall_score(average="macro", **args), "f1": skm.f1_score(average="macro", **args),
            "weighted_f1": skm.f1_score(average="weighted", **args)}})
    for n, digits in [(50, 4), (80, 1)]:
        y = rng.integers(0, 2, n)
        s = np.round(np.clip(rng.normal(0.35 + 0.3 * y, 0.25), 0, 1), digits)
        cases.append({"kind": "scores", "positive": [bool(v) for v in y], "score": s, "value": {
            "auc": skm.roc_auc_score(y, s), "log_loss": skm.log_loss(y, s), "brier": skm.brier_score_loss(y, s)}})
    write("metrics.json", cases)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # Evidently adds up in the order of a set
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    drift()
    distributions()
    tests()
    metrics()
