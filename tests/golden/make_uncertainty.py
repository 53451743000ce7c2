#!/usr/bin/env python3
"""Write tests/unit/metrics/golden_uncertainty.h: probabilities, uncertainty and diversity of small data by scikit-learn, scipy and NumPy.

Needs the Python packages numpy, scikit-learn and scipy.  Usage: make_uncertainty.py > tests/unit/metrics/golden_uncertainty.h
"""
import numpy as np
from scipy.spatial.distance import cosine
from scipy.special import log_softmax, logsumexp
from scipy.stats import entropy
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, zero_one_loss

rng = np.random.default_rng(11)
BINS = 15


def array(kind, values):
    return f"(const {kind}[]){{ {', '.join('NAN' if v != v else repr(v) for v in np.asarray(values).ravel().tolist())} }}"


def reliability(p, label):
    """(error, counts) by NumPy's own binning: intervals closed on the right."""
    confidence, right = p.max(1), p.argmax(1) == label
    which = np.digitize(confidence, np.linspace(0, 1, BINS + 1), right=True) - 1
    count = np.bincount(which, minlength=BINS)
    gap = [abs(right[which == b].mean() - confidence[which == b].mean()) if count[b] else 0 for b in range(BINS)]
    return np.dot(count, gap) / len(label), count


def forecast(name, z):
    """z [draws, n, K]"""
    draws, n, k = z.shape
    label = np.where(rng.random(n) < 0.6, z.mean(0).argmax(1), rng.integers(0, k, n))
    label[:k] = np.arange(k)  # log_loss wants to see every class
    each = log_softmax(z, axis=2)
    log_p = logsumexp(each, axis=0) - np.log(draws)
    p = np.exp(log_p)
    p /= p.sum(1, keepdims=True)
    error, count = reliability(p, label)
    brier = brier_score_loss(label, p, labels=range(k), scale_by_half=False)
    values = [log_loss(label, p, labels=range(k)), brier, error]
    whole, parts = entropy(p, axis=1), entropy(np.exp(each), axis=2).mean(0)
    return (f'  {{ "{name}", {draws}, {n}, {k}, {array("double", z)}, {array("int32_t", label)}, '
            f'{", ".join(repr(float(v)) for v in values)}, {array("int64_t", count)}, {array("double", whole)}, {array("double", whole - parts)} }},')


def ranking(name, negative, positive):
    truth = [0] * len(negative) + [1] * len(positive)
    value = roc_auc_score(truth, np.concatenate([negative, positive]))
    return f'  {{ "{name}", {len(negative)}, {len(positive)}, {array("double", negative)}, {array("double", positive)}, {float(value)!r} }},'


def risk(name, score, wrong):
    """Equal scores in every order would be too many: each takes the mean of the errors of its equals."""
    score, wrong = np.array(score, float), np.array(wrong, float)
    shared = np.array([wrong[score == s].mean() for s in score])[np.argsort(score, kind="stable")]
    return f'  {{ "{name}", {len(score)}, {array("double", score)}, {array("double", wrong)}, {array("double", np.cumsum(shared) / np.arange(1, len(score) + 1))} }},'


def alike(name, a, b):
    """Linear CKA with the centring matrix, HSIC by HSIC."""
    n = len(a)
    centre = np.eye(n) - np.ones((n, n)) / n
    hsic = lambda x, y: np.trace(x @ x.T @ centre @ y @ y.T @ centre)  # noqa: E731
    cka = hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b))
    values = [1 - cosine(a.ravel(), b.ravel()), cka, zero_one_loss(a.argmax(1), b.argmax(1))]
    return f'  {{ "{name}", {n}, {a.shape[1]}, {array("double", a)}, {array("double", b)}, {", ".join(repr(float(v)) for v in values)} }},'


print("/* Made by tests/golden/make_uncertainty.py with scikit-learn, scipy and NumPy. */")
print("static const golden_forecast forecasts[] = {")
for row in [forecast("one draw", rng.normal(0, 1.5, (1, 40, 3)).round(3)), forecast("two classes", rng.normal(0, 2, (1, 30, 2)).round(3)),
            forecast("five draws", (rng.normal(0, 2, (1, 25, 4)) + rng.normal(0, 1, (5, 25, 4))).round(3)),
            forecast("far apart", rng.normal(0, 12, (3, 12, 5)).round(3)), forecast("draws that agree", np.repeat(rng.normal(0, 1, (1, 9, 3)).round(3), 4, 0))]:
    print(row)
print("};\n\nstatic const golden_ranking rankings[] = {")
for row in [ranking("noisy", rng.normal(0, 1, 20).round(3), rng.normal(0.8, 1, 15).round(3)), ranking("ties", rng.integers(0, 4, 18).astype(float), rng.integers(1, 5, 11).astype(float)),
            ranking("apart", np.array([1.0, 2.0]), np.array([3.0])), ranking("all equal", np.ones(3), np.ones(2)), ranking("reversed", np.array([5.0, 6.0]), np.array([1.0, 2.0]))]:
    print(row)
print("};\n\nstatic const golden_risk risks[] = {")
for row in [risk("noisy", rng.random(20).round(3), rng.integers(0, 2, 20)), risk("ties", rng.integers(0, 4, 15), rng.integers(0, 2, 15)), risk("one", [1], [1]), risk("all equal", [2, 2, 2], [0, 1, 0])]:
    print(row)
print("};\n\nstatic const golden_pair pairs[] = {")
x = rng.normal(size=(12, 5)).round(3)
turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
for row in [alike("unrelated", x, rng.normal(size=(12, 5)).round(3)), alike("turned and scaled", x, 3 * x @ turn), alike("moved", x, x + 7), alike("near", x, (x + 0.3 * rng.normal(size=x.shape)).round(3))]:
    print(row)
print("};")
