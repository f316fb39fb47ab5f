"""Models as the MLPs of scikit-learn, `sklearn.neural_network`, in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..common.missing import what_to_install
from ..nn import MLP, Elementwise, Layer, Neuron
from .steps import activation_of, blocks_of, steps_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: The activations of scikit-learn by their names here; the last is that of outputs for loss="poisson".
_ACTIVATIONS = {"linear": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
_OUTPUTS = {"identity": "linear", "logistic": "sigmoid", "softmax": "softmax", "exp": "exp"}


def to_sklearn(model: Any, classes: Sequence[Any] | None = None, **settings: Any) -> Any:
    """Return a fitted MLPRegressor of scikit-learn, or an MLPClassifier, that predicts the same as a model.

    It can be pickled, and `partial_fit`, or `fit` with `warm_start=True`, trains it further: all its parameters, also
    those of frozen modules, and biases of 0 where the model has none.

    Args:
        model: an MLP, or a Sequential of the same layers, whose hidden layers have the same activation: `linear`,
            `sigmoid`, `tanh` or `relu`; the outputs of a regressor are linear. Or a fitted estimator of
            `microgrud.sklearn`, made with `scale_inputs=False, blend_linear=False` and a single network. The scale of
            its targets and its temperature become part of the last layer.
        classes: the labels in the order of the outputs, for a classifier. Outputs are `softmax`, `log_softmax`, or
            linear, for logits; a single output, for the second of two classes, is `sigmoid` or linear. Two outputs
            become one, their difference, since scikit-learn has one for two classes.
        **settings: further arguments of the estimator, such as `learning_rate_init=0.01`.

    Raises:
        ImportError: without scikit-learn.
        TypeError, ValueError: for a model that scikit-learn lacks, and for classes that do not fit its outputs; the
            message names what it is.

    >>> model = MLP(2, [3, 1], activation="tanh", rng=0)
    >>> estimator = to_sklearn(model)
    >>> estimator, bool(abs(estimator.predict([[0.5, 1.0]])[0] - model([0.5, 1.0]).data) < 1e-12)
    (MLPRegressor(activation='tanh', hidden_layer_sizes=(3,)), True)
    """
    neural_network, np = _imported("to_sklearn")
    from ..sklearn.base import BaseMLP  # needs scikit-learn

    fixed = {"hidden_layer_sizes", "activation", "loss"} & settings.keys()
    if fixed:
        raise ValueError(f"to_sklearn: {min(fixed)}: expected no such argument, since the model determines it")
    names = None
    if isinstance(model, BaseMLP):
        if classes is not None:
            raise ValueError("to_sklearn: classes: expected None for an estimator, which has its classes, got others")
        weights, biases, hidden, output, classes = _of_estimator(model)
        names = getattr(model, "feature_names_in_", None)
    else:
        weights, biases, hidden, output = _of_module(model, np)
    if classes is None and output != "linear":
        raise ValueError(
            f"to_sklearn: output: expected linear for an MLPRegressor, got {output}; for an MLPClassifier, give classes"
        )
    labels = None if classes is None else _sorted(weights, biases, output, classes, np)
    kind = neural_network.MLPRegressor if labels is None else neural_network.MLPClassifier
    made = kind(hidden_layer_sizes=tuple(w.shape[1] for w in weights[:-1]), activation=hidden, random_state=0)
    # One step on rows of zeros makes all attributes that this version of scikit-learn expects.
    if labels is None:
        targets = np.zeros((1, weights[-1].shape[1]))
        made.partial_fit(np.zeros((1, len(weights[0]))), targets if targets.size > 1 else targets[0])
    else:
        made.partial_fit(np.zeros((len(labels), len(weights[0]))), labels, classes=labels)
    made.coefs_, made.intercepts_ = weights, biases
    made.t_, made.n_iter_, made.loss_curve_, made.loss_, made.best_loss_ = 0, 0, [], math.nan, math.inf
    del made._optimizer
    if names is not None:
        made.feature_names_in_ = names
    return made.set_params(**{"random_state": None, **settings})


def from_sklearn(estimator: Any) -> MLP:
    """Return the network of a fitted MLPRegressor or MLPClassifier of scikit-learn as an MLP.

    Its outputs are what the estimator predicts: numbers for a regressor; for a classifier the probability of
    `classes_[1]`, by a sigmoid, if there are two classes, and `predict_proba`, by a softmax, if there are more. With
    several labels for a row, they are the probability of each. Numbers in single precision come in exactly.

    Args:
        estimator: an MLPRegressor or MLPClassifier of `sklearn.neural_network`.

    Raises:
        ImportError: without scikit-learn.
        TypeError: for another estimator.
        NotFittedError: before its `fit`.

    >>> import numpy as np
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> estimator = MLPClassifier((2,), random_state=1).partial_fit(X, y, classes=["no", "yes"])
    >>> model = from_sklearn(estimator)
    >>> model
    MLP of [Layer of [ReLUNeuron(1), ReLUNeuron(1)], Layer of [SigmoidNeuron(2)]]
    >>> bool(abs(model([1.5]).data - estimator.predict_proba([[1.5]])[0, 1]) < 1e-12)
    True
    """
    neural_network, _ = _imported("from_sklearn")
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, (neural_network.MLPRegressor, neural_network.MLPClassifier)):
        raise TypeError(
            "from_sklearn: expected an MLPRegressor or MLPClassifier of sklearn.neural_network, got a "
            f"{type(estimator).__name__}; for a Pipeline, give its last step, and prepare the rows by the others"
        )
    check_is_fitted(estimator)
    names = {theirs: ours for ours, theirs in _ACTIVATIONS.items()}
    sizes = [len(estimator.coefs_[0]), *(weights.shape[1] for weights in estimator.coefs_)]
    model = MLP._make(
        {
            **{"nin": sizes[0], "nouts": sizes[1:], "bias": True},
            **{"activation": names[estimator.activation], "output": _OUTPUTS[estimator.out_activation_]},
        }
    )
    for layer, weights, biases in zip(model.layers, estimator.coefs_, estimator.intercepts_):
        for neuron, numbers, bias in zip(layer.neurons, weights.T.tolist(), biases.tolist(), strict=True):
            for value, number in zip([*neuron.w, neuron.b], [*numbers, bias], strict=True):
                value.data = number
    return model


def _imported(caller: str) -> tuple[Any, Any]:
    """Return `sklearn.neural_network` and NumPy; raise an ImportError that says what to install."""
    try:
        import numpy as np
        from sklearn import neural_network
    except ImportError as error:
        raise ImportError(what_to_install(f"{caller} needs", "scikit-learn"), name=error.name) from error
    return neural_network, np


Parts = tuple[list["Array"], list["Array"], str, str]


def _of_module(model: Any, np: Any) -> Parts:
    """Return the weights (inputs, neurons) and biases of layers, and the activations of hidden layers and outputs."""
    weights: list[Array] = []
    biases: list[Array] = []
    names: list[str] = []
    for step in steps_of(model, "to_sklearn"):
        if isinstance(step.part, (Layer, Neuron)):
            blocks = blocks_of(step.part, step.where, "to_sklearn")
            weight = np.array([x.data for x in blocks["weight"].values]).reshape(blocks["weight"].shape)
            weights.append(weight.T.copy())
            biases.append(
                np.array([x.data for x in blocks["bias"].values]) if "bias" in blocks else np.zeros(len(weight))
            )
            names.append(activation_of(step, "to_sklearn"))
        elif isinstance(step.part, (str, Elementwise)) and names[-1:] == ["linear"]:
            names[-1] = step.part if isinstance(step.part, str) else activation_of(step, "to_sklearn")
        else:
            part = step.part if isinstance(step.part, str) else type(step.part).__name__
            raise ValueError(
                f"to_sklearn: {step.where}: expected layers with an activation each, which is what an MLP of "
                f"scikit-learn has, got {part}; leave it out, or use another format"
            )
    *hidden, output = names
    return weights, biases, _hidden(hidden), output


def _hidden(names: Sequence[Any]) -> str:
    """Return the name that scikit-learn has for the activation of the hidden layers."""
    found = sorted({str(name) for name in names}) or ["relu"]
    if len(found) > 1 or found[0] not in _ACTIVATIONS:
        raise ValueError(
            f"to_sklearn: activation: expected one of {', '.join(_ACTIVATIONS)} for all hidden layers, as in "
            f"scikit-learn, got {', '.join(found)}"
        )
    return _ACTIVATIONS[found[0]]


def _of_estimator(estimator: Any) -> tuple[list[Array], list[Array], str, str, Any]:
    """Return the same for an estimator of this package, whose scale of targets becomes part of the last layer."""
    from sklearn.utils.validation import check_is_fitted

    from ..sklearn.networks import arrays_of

    check_is_fitted(estimator)
    count, share = len(estimator.networks_), estimator.network_share_
    for wanted, fits in (
        (f"n_estimators=1, got {count}", count == 1),
        ("scale_inputs=False, got an encoding of the inputs", estimator.encoding_ is None),
        (f"blend_linear=False, got a share of {1.0 - share:.2g} of linear models", share == 1.0),
    ):
        if not fits:
            raise ValueError(f"to_sklearn: expected {wanted}; an MLP of scikit-learn is one network of plain columns")
    layers = arrays_of(estimator.networks_[0])
    weights, biases = [layer.weights.copy() for layer in layers], [layer.biases.copy() for layer in layers]
    hidden = _hidden([layer.activation.name or layer.activation.label for layer in layers[:-1]])
    if hasattr(estimator, "classes_"):
        weights[-1] /= estimator.temperature_
        biases[-1] /= estimator.temperature_
        return weights, biases, hidden, "softmax", estimator.classes_
    scale = estimator.target_scale_
    weights[-1] *= scale.deviation
    biases[-1] = biases[-1] * scale.deviation + scale.mean
    return weights, biases, hidden, "linear", None


def _sorted(weights: list[Array], biases: list[Array], output: str, classes: Sequence[Any], np: Any) -> Any:
    """Bring the outputs into the order of the sorted classes, two of them to their difference; return these classes."""
    count = weights[-1].shape[1]
    expected = ("sigmoid", "linear") if count == 1 else ("softmax", "log_softmax", "linear")
    if output not in expected:
        raise ValueError(
            f"to_sklearn: output: expected {' or '.join(expected)} for a classifier with {count} outputs, got {output}"
        )
    given = classes.tolist() if hasattr(classes, "tolist") else list(classes)
    kinds = {type(label).__name__ for label in given}
    if len(kinds) > 1 or len(set(given)) < len(given) or len(given) != max(count, 2):
        raise ValueError(
            f"to_sklearn: classes: expected {max(count, 2)} different labels of one type, one for each output (or two "
            f"for a single output), got {given}"
        )
    labels, order = np.unique(np.asarray(classes), return_index=True)
    for arrays in (weights, biases):
        last = arrays[-1] if count > 1 else np.stack([np.zeros_like(arrays[-1][..., 0]), arrays[-1][..., 0]], axis=-1)
        last = last[..., order]
        arrays[-1] = last[..., 1:] - last[..., :1] if len(given) == 2 else last
    return labels
