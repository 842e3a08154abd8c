"""What each statistic does, in the words of a report."""

from __future__ import annotations

from .results import AnalysisResult

METHODS = {
    "paired_t": "Student's t on differences paired by seed; interval from the t distribution.",
    "permutation": "Sign-flip permutation of differences paired by seed, exact where it can be enumerated.",
    "wilcoxon": "Wilcoxon's signed ranks of differences paired by seed, exact; Hodges-Lehmann estimate and interval.",
    "equivalence": "Two one-sided t-tests on differences paired by seed against the margin; p small means equivalent.",
    "rope": "Bayesian signed-rank test of differences paired by seed; posterior probabilities, not p-values.",
    "aso": "Almost stochastic order of two samples, which ignores the pairing by seed; upper bound by bootstrap.",
    "welch": "Welch's t-test of two independent samples, which ignores the pairing by seed.",
    "friedman": "Friedman's ranks over all levels; p of each pair of levels from their mean ranks.",
    "spearman": "Spearman's rank correlation of cell means over seeds; interval by Fisher's z.",
    "kendall": "Kendall's tau-b of cell means over seeds; interval by Fisher's z with Fieller's variance.",
    "pearson": "Pearson's correlation of cell means over seeds; interval by Fisher's z.",
    "max_statistic": "Spearman's rank correlation of cell means over seeds. p: Westfall and Young's step-down over all "
    "pairs, one permutation of the units for all; p_single: against the largest of all pairs; threshold: the "
    "coefficient beyond which p_single is significant. Interval of the single coefficient, by Fisher's z.",
    "partial_spearman": "Spearman's correlation of what the ranks of the controls leave of the ranks.",
    "ridge": "Ridge regression on left-out groups, penalty and standardisation inside every fold. gain: mean absolute "
    "error of the base minus that of the model; gain_over_noise: that of noise of equal dimension minus that of the "
    "model; intervals by the corrected variance of Nadeau and Bengio. p: Freedman-Lane permutation of the gain in R2 "
    "over the base; p_letter: shuffled rows of the added columns. rho is strongly negative under pure noise, so judge "
    "by r2, which is against the mean of the other groups.",
    "improvement": "Probability that a run beats a run, mean over tasks; p from swapping the values of pairs, exact.",
    "iqm": "Interquartile mean of runs and tasks; stratified bootstrap.",
    "summary": "Mean with Student's t interval; median by order statistics.",
}


def method(result: AnalysisResult) -> str:
    """The methods of an analysis, in sentences."""
    return " ".join(dict.fromkeys(METHODS.get(leaf, "As the study's own file defines.") for leaf in result.leaves))
