"""Words and symbols of reports, explained once. A column without an explanation of its own is looked up here."""

from __future__ import annotations

import re

TERMS = {
    "seed": "number from which all random draws of one replicate are derived; results with one seed are paired",
    "seeds": "number of replicates (independent repetitions from other random numbers)",
    "n": "number of observations that entered the estimate",
    "n pairs": "number of pairs that entered the estimate",
    "p": "probability of a result at least this extreme if there were no effect; corrected as said below the table",
    "p_raw": "the p-value before correction for several tests",
    "interval": "range of values compatible with the data at the stated confidence",
    "se": "standard error: the uncertainty of the estimate, in its own unit",
    "rho": "ρ, rank correlation: +1 if both always rise together, 0 if unrelated, −1 if one falls as the other rises",
    "tau": "τ, Kendall's rank correlation: share of pairs in the same order minus share in opposite order",
    "r": "Pearson's correlation: strength of a straight-line relation, from −1 to 1",
    "effect": "difference of the two means (first minus second), or their ratio where the method says so",
    "difference": "mean of the first minus mean of the second",
    "d": "Cohen's d: the difference in units of the standard deviation",
    "mean": "mean over seeds, with its interval",
    "median": "the middle value",
    "sd": "standard deviation over seeds",
    "accuracy": "share of examples classified correctly",
    "loss": "mean cross-entropy per example; 0 is perfect, ln(number of classes) is guessing",
    "parameters": "number of trained weights of the network",
    "log_params": "natural logarithm of the number of trained weights",
    "retention": "accuracy on the first task after some steps of the second, divided by the accuracy before it",
    "ret": "retention: accuracy on the first task after some steps of the second, over the accuracy before it",
    "aurc": "area under the retention curve, divided by its length: 1 forgets nothing, 0 everything at once",
    "h0_total": "total persistence of H0: summed depth of the separate basins of the landscape, without the deepest",
    "h1_total": "total persistence of H1: summed height of the ridges that enclose something, in the loss landscape",
    "h0_max": "the deepest separate basin besides the deepest of all",
    "h1_max": "the highest enclosed ridge",
    "h0_count": "number of separate basins deeper than the noise floor",
    "h1_count": "number of enclosed regions higher than the noise floor",
    "entropy": "persistence entropy: how evenly total persistence is spread over the bars",
    "method": "the statistic used",
    "metric": "the column that is related to the target",
    "with": "the column that it is related to",
    "given": "what is held constant",
    "ties": "number of equal values among the observations; ties weaken rank methods",
    "seconds": "computing time",
    "trace": "sum of the diagonal (of the Hessian: total curvature of the loss; of the Fisher information: its size)",
    "top": "the largest eigenvalue (of the Hessian), or the largest entry of the diagonal (of the Fisher information)",
    "bottom": "the smallest eigenvalue of the Hessian; negative where the loss curves downwards",
    "residual": "how far the eigenvector is from being one: 0 is exact",
    "height": "how far the loss on the straight path rises above its baseline",
    "excess": "mean distance of the loss on the straight path from its chord",
    "smallest_significant": "the smallest coefficient that could reach significance with this n and this many tests",
    "smallest_detectable": "the smallest difference that would be found with 80 % power, given the spread seen here",
    "smallest_p": "the smallest p-value that this test can give with this n",
    "coefficient": "rho (Spearman), tau (Kendall) or r (Pearson), as the column 'method' says; from -1 to 1",
    "dz": "mean difference of the pairs, in standard deviations of the differences",
    "g": "Hedges' g: the difference in standard deviations, corrected for small samples",
    "train_accuracy": "accuracy on the training examples, without augmentation, at the end",
    "accuracy_before": "accuracy on the first task before the second",
    "accuracy_b": "accuracy on the second task after training on it",
    "centre": "loss at the trained network itself",
    "range": "largest minus smallest loss on the slice",
    "roughness": "distance of the slice from the nearest quadratic, as a share of its range",
    "h0_entropy": "how evenly total persistence of H0 is spread over its bars",
    "h1_entropy": "how evenly total persistence of H1 is spread over its bars",
    "verdict": "better, worse, equivalent or inconclusive, by the corrected test of the row",
    "iqm": "interquartile mean: the mean after a quarter of all values is cut off at each end",
    "gap": "optimality gap: mean distance below the best score",
    "runs": "number of runs (seeds) of each task",
    "tasks": "number of tasks over which runs were counted",
    "confidence": "how often intervals made this way cover the true value",
}


def explain(name: str) -> str:
    """What a column's name means, or nothing. `ripser.h1_total@slice=0` is asked for as `h1_total`."""
    bare = re.sub(r"@.*", "", name)
    for candidate in (name, bare, bare.rsplit(".", 1)[-1], bare.replace("_", " ")):
        for form in (candidate, candidate.lower()):
            if form in TERMS:
                return TERMS[form]
    return ""
