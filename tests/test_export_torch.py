"""Models go to torch and come back with the same parameters, values and gradients; what torch lacks is an error."""

from __future__ import annotations

import copy
import io
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from random_networks import inputs_of, random_network

from microgrud import Value, activations, sum as total, tanh
from microgrud.export import from_torch, load_torch_state_dict, to_torch, torch_state_dict
from microgrud.nn import (
    ACTIVATIONS,
    MLP,
    BatchNorm1d,
    Dropout,
    Elementwise,
    Embedding,
    Layer,
    LayerNorm,
    Linear,
    Module,
    Neuron,
    PReLU,
    Sequential,
)

torch = pytest.importorskip("torch")
nn = torch.nn

ROWS = [[0.5, -1.0, 2.0], [-0.25, 0.75, -1.5], [1.0, 0.1, 0.3], [-2.0, -0.4, 0.9]]


def numbers(output: Any) -> Any:
    """Return the numbers of an output: of a Value, or of lists of Values."""
    return output.data if isinstance(output, Value) else [numbers(x) for x in output]


def tensor(rows: Any) -> Any:
    return torch.tensor(rows, dtype=torch.float64)


def same(model: Module, module: Any, rows: list[list[float]] = ROWS) -> bool:
    """Return whether both compute the same for some rows, to rounding."""
    ours = tensor(numbers(model(rows))).reshape(len(rows), -1)
    return torch.allclose(module(tensor(rows)), ours, rtol=1e-12, atol=1e-12)


# --- to torch and back ------------------------------------------------------------------------------------------------


def test_a_trained_model_computes_the_same_in_torch() -> None:
    model = MLP(3, [4, 2], activation="tanh", output="softmax", rng=0)
    module = to_torch(model)

    assert [type(each).__name__ for each in module] == ["Linear", "Tanh", "Linear", "Softmax"]
    assert module[0].weight.dtype == torch.float64
    assert same(model, module)
    assert repr(from_torch(module)) == repr(model)
    assert from_torch(module).state_dict() == model.state_dict()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_has_its_values_and_slopes_in_torch(name: str) -> None:
    xs = [-750.0, -30.0, -6.5, -3.0, -2.0, -1.0, -0.3, -1e-9, 1e-9, 0.7, 1.0, 2.5, 3.0, 6.5, 21.0, 40.0, 750.0]
    if name in ("exp", "expm1", "sinh", "cosh"):
        xs = xs[1:-1]
    module, here = to_torch(Elementwise(name)), [Value(x) for x in xs]
    there = tensor(xs).requires_grad_()
    module(there).sum().backward()
    for x in here:
        ACTIVATIONS[name](x).backward()

    smallest = 1e-15 if name == "gelu" else 1e-300  # in the tail of GELU, two terms cancel in torch
    assert module(there).tolist() == pytest.approx([ACTIVATIONS[name](x).data for x in here], rel=1e-13, abs=smallest)
    assert there.grad.tolist() == pytest.approx([x.grad for x in here], rel=1e-12, abs=1e-15)
    (back,) = from_torch(module).layers
    assert isinstance(back, Elementwise)
    assert back.activation is ACTIVATIONS[name]


@given(seed=st.integers(0, 2**32))
def test_random_networks_come_back_bit_for_bit(seed: int) -> None:
    model = random_network(seed)
    module = to_torch(model)
    back = from_torch(module)

    assert list(map(float.hex, back.state_dict().values())) == list(map(float.hex, model.state_dict().values()))
    assert len(back.parameters()) == len(model.parameters())
    assert repr(to_torch(back)) == repr(module)
    assert back.training is model.training
    row = [random.Random(seed).gauss(0.0, 1.0) for _ in range(inputs_of(model))]
    assert numbers(back(row)) == numbers(model(row))
    assert same(model, module, [row])


@given(numbers=st.tuples(*[st.floats()] * 3))
def test_all_numbers_come_back_bit_for_bit(numbers: tuple[float, ...]) -> None:
    neuron = Neuron(2, activation="tanh")
    neuron.load_state_dict(dict(zip(("w.0", "w.1", "b"), numbers)))
    back = from_torch(to_torch(neuron))

    assert isinstance(back, MLP)
    assert [p.data.hex() for p in back.parameters()] == [p.data.hex() for p in neuron.parameters()]


MODELS: list[Callable[[], Module]] = [
    lambda: MLP(3, [4, 1], activation="gelu", rng=0),
    lambda: MLP(3, [2], output="log_softmax", bias=False, rng=1),
    lambda: Sequential(Linear(3, 4, rng=2), LayerNorm(4), PReLU(4), Linear(4, 2, bias=False, rng=3), "sigmoid"),
    lambda: Sequential(MLP(3, [3, 2], output="softmax", rng=4), Neuron(2, rng=5)),
    lambda: Sequential(Linear(3, 4, rng=6), activations.glu, activations.softmin),
    lambda: Layer(3, 2, activation="celu", rng=7),
    lambda: Sequential(Linear(3, 2, rng=8), BatchNorm1d(2), "relu", Linear(2, 1, rng=9)),
]


@pytest.mark.parametrize("make", MODELS)
def test_gradients_agree(make: Callable[[], Module]) -> None:
    model = make()
    module = to_torch(model)
    weights = [0.5, -2.0, 3.0, 0.25]
    outputs = [row if isinstance(row, list) else [row] for row in model(ROWS)]
    total([weight * x for weight, row in zip(weights, outputs) for x in row]).backward()
    (module(tensor(ROWS)) * tensor(weights).reshape(-1, 1)).sum().backward()

    gradients = Sequential(*model.layers) if isinstance(model, Sequential) else model
    here = dict(zip(gradients.state_dict(), [p.grad for p in gradients.parameters()]))
    copied = copy.deepcopy(module)
    for parameter, original in zip(copied.parameters(), module.parameters()):
        parameter.data = original.grad
    assert from_torch(copied).get_vector().tolist() == pytest.approx(list(here.values()), rel=1e-12, abs=1e-14)


def test_batch_norm_moves_its_statistics_as_torch_does() -> None:
    model = Sequential(Linear(3, 2, rng=0), BatchNorm1d(2, eps=1e-3, momentum=0.3), "tanh")
    module = to_torch(model)
    for _ in range(3):
        assert same(model, module)

    assert torch_state_dict(model).keys() == module.state_dict().keys()
    assert torch.allclose(torch_state_dict(model)["1.running_var"], module[1].running_var, rtol=1e-13)
    assert torch.allclose(torch_state_dict(model)["1.running_mean"], module[1].running_mean, rtol=1e-13)
    assert same(model.eval(), module.eval())
    back = from_torch(module)
    assert back.layers[1]._arguments() == {"size": 2, "eps": 1e-3, "momentum": 0.3, "affine": True}  # type: ignore[union-attr]
    assert same(back, module)


def test_an_embedding_is_looked_up_by_integers() -> None:
    model = Sequential(Embedding(5, 3, rng=0), Linear(3, 2, rng=1), "relu")
    module = to_torch(model)

    assert torch.allclose(module(torch.tensor([4, 0, 3])), tensor(numbers(model([4, 0, 3]))), rtol=1e-14)
    assert torch.allclose(module(torch.tensor([[4, 0], [1, 1]])), tensor(numbers(model([[4, 0], [1, 1]]))), rtol=1e-14)
    assert from_torch(module).state_dict() == model.state_dict()


def test_mode_and_dropout_are_carried() -> None:
    model = Sequential(Linear(3, 3, rng=0), Dropout(0.25), Linear(3, 1, rng=1))
    model.layers[1].eval()  # type: ignore[union-attr]
    module = to_torch(model)

    assert (module.training, module[0].training, module[1].training, module[1].p) == (True, True, False, 0.25)
    back = from_torch(module)
    assert (back.training, [layer.training for layer in back.layers]) == (True, [True, False, True])  # type: ignore[union-attr]
    mlp = from_torch(to_torch(MLP(3, [2, 1]).eval()))
    assert not any(module.training for module in [mlp, *mlp.layers, *mlp.layers[0].neurons])  # type: ignore[union-attr]
    back = from_torch(to_torch(model.eval()))
    assert [layer.training for layer in [back, *back.layers]] == [False] * 4  # type: ignore[union-attr]


def test_frozen_modules_have_no_gradient_in_torch() -> None:
    model = MLP(2, [3, 1], rng=0)
    model.layers[0].freeze()
    module = to_torch(model)

    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True]
    assert len(from_torch(module).parameters()) == len(model.parameters()) == 4
    assert from_torch(module).state_dict() == model.state_dict()


def test_a_module_at_two_places_stays_one_module() -> None:
    shared = Linear(3, 3, rng=0)
    model = Sequential(shared, "tanh", shared, "tanh")
    module = to_torch(model)

    assert module[0] is module[2]
    assert same(model, module)
    back = from_torch(module)
    assert back.layers[0] is back.layers[2]
    assert back.state_dict() == model.state_dict()
    state = {**torch_state_dict(model), "2.bias": torch.ones(3)}
    with pytest.raises(ValueError, match=r"2\.bias \(expected the numbers of 0\.bias"):
        load_torch_state_dict(model, state)


def test_the_module_can_be_saved_copied_and_trained() -> None:
    module = to_torch(MLP(3, [4, 1], activation="sin", rng=0))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for again in (torch.load(file, weights_only=False), copy.deepcopy(module)):
        assert torch.equal(again(tensor(ROWS)), module(tensor(ROWS)))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = module(tensor(ROWS)).sum()
    before.backward()
    optimizer.step()
    assert same(from_torch(module), module)
    assert module(tensor(ROWS)).sum() < before


def test_no_random_numbers_are_drawn() -> None:
    before, before_torch = random.getstate(), torch.get_rng_state()
    from_torch(to_torch(Sequential(Embedding(3, 2, rng=0), Linear(2, 2, rng=0), PReLU(), Dropout(0.5))))

    assert random.getstate() == before
    assert torch.equal(torch.get_rng_state(), before_torch)


def test_the_settings_of_torch_do_not_matter() -> None:
    torch.set_default_dtype(torch.float16)
    try:
        with torch.device("meta"):
            module = to_torch(Sequential(Linear(3, 2, rng=0), BatchNorm1d(2)).eval())
    finally:
        torch.set_default_dtype(torch.float32)

    assert same(Sequential(Linear(3, 2, rng=0), BatchNorm1d(2)).eval(), module)


# --- from torch -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numbers_of_less_precision_come_in_exactly(dtype: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).to(getattr(torch, dtype))
    model = from_torch(module)

    assert [p.data for p in model.layers[0].parameters()[:3]] == module[0].weight[0].tolist()  # type: ignore[union-attr]
    assert same(model, module.double())


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        (lambda: [nn.Flatten(), nn.Linear(3, 2), nn.ELU()], "MLP of [Layer of [ELUNeuron(3), ELUNeuron(3)]]"),
        (
            lambda: [nn.Linear(3, 2, bias=False), nn.Softmax(dim=1)],
            "MLP of [Layer of [LinearNeuron(3), LinearNeuron(3)]]",
        ),
        (lambda: [nn.Linear(3, 2), nn.Linear(2, 1, bias=False)], "Sequential(Linear(3, 2), Linear(2, 1))"),
        (lambda: [nn.Linear(3, 2), nn.Softmax(-1), nn.Linear(2, 1)], "Sequential(Linear(3, 2), softmax, Linear(2, 1))"),
        (
            lambda: [nn.Linear(3, 2), nn.LeakyReLU(0.2), nn.Sequential(nn.LayerNorm(2, elementwise_affine=False))],
            "Sequential(Linear(3, 2), PReLU(1), LayerNorm(2))",
        ),
        (
            lambda: [
                nn.Linear(3, 3),
                nn.Tanh(),
                nn.Linear(3, 2),
                nn.ReLU(inplace=True),
                nn.Linear(2, 2),
                nn.Softplus(),
            ],
            "Sequential(Linear(3, 3), Tanh, Linear(3, 2), ReLU, Linear(2, 2), Softplus)",
        ),
    ],
)
def test_usual_modules_of_torch_come_in(layers: Callable[[], list[Any]], wanted: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(*layers()).double()
    model = from_torch(module)

    assert repr(model) == wanted
    assert same(model, module)
    assert len(model.parameters()) == sum(p.numel() for p in module.parameters())


def test_a_single_module_comes_in() -> None:
    assert repr(from_torch(nn.Linear(2, 1))) == "MLP of [Layer of [LinearNeuron(2)]]"
    assert repr(from_torch(nn.PReLU(2))) == "Sequential(PReLU(2))"


class Net(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x


def hooked() -> Any:
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda module, x, y: 2 * y)
    return module


def halved() -> Any:
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    return module


def tied() -> Any:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    return module


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: 3, TypeError, "expected a torch.nn.Module, got an object of type int"),
        (lambda: nn.Sequential(), ValueError, "expected at least one layer"),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 1)),
            TypeError,
            r"from_torch: 1: .*got a Conv2d, which",
        ),
        (lambda: nn.Sequential(nn.Sequential(Net())), TypeError, r"0\.0: expected a torch.nn.Sequential .*got a Net"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Flatten()), TypeError, "1: .*got a Flatten"),
        (lambda: nn.GELU(approximate="tanh"), ValueError, "GELU with approximate 'none', as in microgrud, got 'tanh'"),
        (lambda: nn.ELU(0.5), ValueError, "ELU with alpha 1.0, as in microgrud, got 0.5"),
        (lambda: nn.Softplus(threshold=5.0), ValueError, "Softplus with threshold 20 or more, as in microgrud, got 5"),
        (lambda: nn.Softmax(dim=0), ValueError, "Softmax with dim -1, the last axis, as in microgrud, got 0"),
        (lambda: nn.Softmax(), ValueError, "Softmax with dim -1, the last axis, as in microgrud, got None"),
        (lambda: nn.Embedding(3, 2, padding_idx=0), ValueError, "Embedding with padding_idx=None"),
        (lambda: nn.BatchNorm1d(3, track_running_stats=False), ValueError, "with track_running_stats=True"),
        (lambda: nn.BatchNorm1d(3, momentum=None), ValueError, "BatchNorm1d: momentum: expected .*got None"),
        (lambda: nn.LayerNorm([2, 3]), ValueError, r"LayerNorm of one axis, got the shape \(2, 3\)"),
        (
            lambda: nn.LayerNorm(2, bias=False),
            ValueError,
            "LayerNorm: expected the parameters weight, bias, got weight",
        ),
        (
            lambda: nn.Linear(2, 2, device="meta"),
            ValueError,
            "expected floating-point numbers, got .* on the device meta",
        ),
        (lambda: nn.Linear(2, 2, dtype=torch.complex64), ValueError, "got torch.complex64"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), TypeError, "got a ParametrizedLinear"),
        (hooked, ValueError, "got one with forward hooks"),
        (lambda: nn.Sequential(nn.Linear(2, 1), nn.Softmax(-1)), ValueError, "softmax needs at least 2 outputs, got 1"),
        (halved, ValueError, "expected requires_grad of all its parameters or of none"),
        (tied, ValueError, "got two that share one; put the same module at both places"),
    ],
)
def test_what_microgrud_has_not_is_named_with_its_place(make: Callable[[], Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        from_torch(make())


# --- errors, and state dicts ------------------------------------------------------------------------------------------


class Swish(Module):
    def forward(self, x: Any) -> Any:
        return [each * tanh(each) for each in x]


class Doubled(MLP):
    def __call__(self, x: Any) -> Any:
        return 2.0 * super().__call__(x)


def changed() -> Module:
    model = MLP(2, [2], output="tanh")
    model.layers[0].neurons[1].nonlin = False
    return model


def partly_frozen() -> Module:
    model = MLP(2, [2])
    model.layers[0].neurons[1].freeze()
    return model


def sharing() -> Module:
    model = Sequential(Linear(2, 2), Linear(2, 2))
    model.layers[1].neurons[0].w = model.layers[0].neurons[0].w  # type: ignore[union-attr]
    return model


class Doubler(Neuron):
    def __call__(self, x: Any) -> Any:
        return 2.0 * super().__call__(x)


def with_a_neuron_of_its_own() -> Module:
    model = Linear(2, 2)
    model.neurons[1] = Doubler(2, nonlin=False)
    return model


def with_a_number() -> Module:
    model = Linear(2, 2)
    model.neurons[0].w[1] = 0.5  # type: ignore[call-overload]
    return model


def with_a_forward() -> Module:
    model = Sequential(Linear(2, 2))
    model.forward = lambda x: 0.0  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: tanh, TypeError, "expected a Module of microgrud.nn, got an object of type"),
        (lambda: Sequential(Linear(2, 2), Swish()), TypeError, r"layers\.1: expected a module of .*got a Swish, whose"),
        (lambda: Doubled(2, [1]), TypeError, "model: expected a module of microgrud.nn, got a Doubled"),
        (
            lambda: Sequential(Linear(2, 2), lambda x: x),
            TypeError,
            r"layers\.1: .*got a function of your own, <lambda>",
        ),
        (lambda: MLP(2, [2, 1], activation=lambda x: x * x), TypeError, r"layers\.0: expected one of .*got Custom, a"),
        (changed, ValueError, r"layers\.0: expected one activation for the whole layer, got Linear, Tanh"),
        (partly_frozen, ValueError, r"layers\.0: .*got one with some frozen neurons"),
        (sharing, ValueError, r"layers\.0: weight: expected parameters of this module alone"),
        (with_a_number, ValueError, r"weight: expected \(2, 2\) parameters, each a Value"),
        (with_a_neuron_of_its_own, ValueError, "model: expected neurons of class Neuron, got those of a subclass"),
        (with_a_forward, TypeError, "got a Sequential, whose forward is a program of its own"),
    ],
)
def test_what_torch_cannot_have_is_named_with_its_place(make: Callable[[], Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=f"to_torch: .*{message}"):
        to_torch(make())


def test_state_dicts_bring_a_module_and_a_model_up_to_date() -> None:
    model, other = (
        Sequential(Linear(2, 3, rng=seed), BatchNorm1d(3), "tanh", Linear(3, 1, rng=seed)) for seed in (0, 1)
    )
    module = to_torch(other)
    module.load_state_dict(torch_state_dict(model))
    assert from_torch(module).state_dict() == model.state_dict()

    load_torch_state_dict(other, module.float().state_dict())
    assert other.state_dict() == {name: pytest.approx(x, rel=1e-7) for name, x in model.state_dict().items()}
    assert set(other.state_dict().values()) <= {
        x for p in module.state_dict().values() for x in p.double().reshape(-1).tolist()
    }


def test_a_wrong_state_dict_changes_nothing() -> None:
    model = MLP(2, [2, 1], rng=0)
    before = model.state_dict()
    state = {"0.weight": torch.ones(2, 3), "0.bias": [0.0, 0.0], "2.weight": torch.ones(1, 2), "4.bias": torch.ones(1)}
    with pytest.raises(ValueError, match="missing") as caught:
        load_torch_state_dict(model, state)

    assert str(caught.value) == (
        "load_torch_state_dict: missing: 2.bias; unexpected: 4.bias; wrong: 0.weight (expected the shape (2, 2), got "
        "(2, 3)), 0.bias (expected a tensor, got an object of type list); torch_state_dict(model) has the names and "
        "shapes"
    )
    assert model.state_dict() == before
    with pytest.raises(TypeError, match="expected a dict of tensors, got int"):
        load_torch_state_dict(model, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got torch.int64 on the device cpu"):
        load_torch_state_dict(Neuron(1, bias=False), {"0.weight": torch.ones(1, 1, dtype=torch.int64)})


def test_infinities_are_carried() -> None:
    neuron = Neuron(1, nonlin=False, bias=False)
    neuron.w[0].data = math.inf

    assert from_torch(to_torch(neuron)).parameters()[0].data == math.inf
