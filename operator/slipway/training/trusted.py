"""Types that a skops file may hold without anybody's say: scikit-learn's own parts that skops leaves to the reader.

skops trusts public estimators and numpy's arrays. Estimators are made of more: trees, neighbour indexes, kernels. Loading one
of these sets numbers in an object of the installed library and runs no code of the file's; a file made to harm can at worst
crash the process that reads it. What an administrator adds (``SLIPWAY_TRUSTED_TYPES``) comes from the operator's settings,
never from the file or the request.
"""

from __future__ import annotations

_DISTANCES = ("Euclidean", "Manhattan", "Chebyshev", "Minkowski", "SEuclidean", "Haversine", "Hamming", "Canberra", "BrayCurtis")
_KERNELS = (
    "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel", "Product",
    "RBF", "RationalQuadratic", "Sum", "WhiteKernel", "Hyperparameter",
)  # fmt: skip

BUILT_IN = frozenset(
    {
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._birch._CFNode",
        "sklearn.cluster._birch._CFSubcluster",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree64",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        *(f"sklearn.metrics._dist_metrics.{name}Distance{bits}" for name in _DISTANCES for bits in ("", "32", "64")),
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    }
)
"""Full names."""
