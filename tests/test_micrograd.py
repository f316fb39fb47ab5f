"""Programs written for micrograd run unchanged, and give the same numbers: the `micrograd` package is the rival."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import micrograd.engine
import micrograd.nn
import pytest
from hypothesis import assume, given, strategies as st

import microgrud.engine
import microgrud.nn
from microgrud.engine import Value
from microgrud.losses import hinge, l2_penalty
from microgrud.nn import MLP, Layer, Neuron

LIBRARIES = [pytest.param(micrograd, id="micrograd"), pytest.param(microgrud, id="microgrud")]


def close(x: float, y: float, tolerance: float = 1e-9) -> bool:
    return math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance)


# --- the classic programs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_expression_that_everybody_starts_with(library: Any) -> None:
    a, b = library.engine.Value(-4.0), library.engine.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()

    assert f"{g.data:.4f}" == "24.7041"
    assert f"{a.grad:.4f}" == "138.8338"
    assert f"{b.grad:.4f}" == "645.5773"


def small_program(value: Callable[[float], Any]) -> list[Any]:
    x = value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    return [h + q + q * x, x]


def wide_program(value: Callable[[float], Any]) -> list[Any]:
    a, b = value(-3.5), value(1.25)
    c = a - b
    d = a * b + (-b) ** 2
    c = c * 3 + 2 - a
    d = d / 4 + c.relu() - (d - c).relu()
    e = 7 / (c - d) + 0.5
    return [e**3 - e * d + b**-2, a, b]


@pytest.mark.parametrize("program", [small_program, wide_program])
def test_programs_give_micrograds_values_and_gradients(program: Callable[..., list[Any]]) -> None:
    theirs, ours = program(micrograd.engine.Value), program(Value)
    theirs[0].backward()
    ours[0].backward()

    assert [close(x.data, y.data) and close(x.grad, y.grad) for x, y in zip(theirs, ours)] == [True] * len(ours)


# --- random programs --------------------------------------------------------------------------------------------------

# A step takes two earlier results by index, so that nodes are shared, and appends a new one.
STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x * y": lambda x, y: x * y,
    "x - y": lambda x, y: x - y,
    "x / y": lambda x, y: x / y,
    "x**2": lambda x, y: x**2,
    "x**3": lambda x, y: x**3,
    "x**-1": lambda x, y: x**-1,
    "-x": lambda x, y: -x,
    "relu": lambda x, y: x.relu(),
    "x + 1.5": lambda x, y: x + 1.5,
    "0.5 * x": lambda x, y: 0.5 * x,
    "3 - x": lambda x, y: 3 - x,
    "2 / x": lambda x, y: 2 / x,
}
leaves = st.lists(st.floats(-4.0, 4.0), min_size=1, max_size=4)
steps = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99)), max_size=12)


def run(value: Callable[[float], Any], numbers: list[float], program: list[tuple[str, int, int]]) -> list[Any]:
    """Run a program, add up all its results so that each of them counts, and go back; a leaf comes first."""
    nodes = [value(x) for x in numbers]
    for name, i, j in program:
        nodes.append(STEPS[name](nodes[i % len(nodes)], nodes[j % len(nodes)]))
    total = sum(nodes[1:], nodes[0] * 1.0)
    total.backward()
    return [total, *nodes]


@given(numbers=leaves, program=steps)
def test_random_programs_give_micrograds_values_and_gradients(
    numbers: list[float], program: list[tuple[str, int, int]]
) -> None:
    try:
        theirs = run(micrograd.engine.Value, numbers, program)
    except ArithmeticError:
        assume(False)
    inputs = theirs[1 : 1 + len(numbers)]
    # Beyond this size, differences of large numbers leave nothing of which 1e-9 could be right.
    assume(all(abs(x.data) < 1e3 for x in theirs) and all(abs(x.grad) < 1e6 for x in inputs))
    # A difference that one library rounds to 0 and the other to 1e-17 would be on two sides of a kink.
    assume(all(abs(x.data) > 1e-3 or (x.data == 0.0 and x._op in ("", "ReLU")) for x in theirs))

    ours = run(Value, numbers, program)

    assert [(x.data, y.data) for x, y in zip(theirs, ours) if not close(x.data, y.data)] == []
    leaf_gradients = [(x.grad, y.grad) for x, y in zip(inputs, ours[1:])]
    assert [pair for pair in leaf_gradients if not close(*pair, tolerance=1e-8)] == []


# --- networks ---------------------------------------------------------------------------------------------------------

BUILDERS: list[Callable[[Any], Any]] = [
    lambda nn: nn.Neuron(3),
    lambda nn: nn.Neuron(2, nonlin=False),
    lambda nn: nn.Layer(2, 3),
    lambda nn: nn.Layer(2, 1, nonlin=False),
    lambda nn: nn.MLP(3, [4, 4, 1]),
    lambda nn: nn.MLP(2, [3]),
]


@pytest.mark.parametrize("build", BUILDERS)
def test_the_same_seed_gives_the_same_weights_and_the_same_repr(build: Callable[[Any], Any]) -> None:
    random.seed(1337)
    theirs = build(micrograd.nn)
    state_after_theirs = random.getstate()
    random.seed(1337)
    ours = build(microgrud.nn)

    assert random.getstate() == state_after_theirs
    assert [p.data for p in ours.parameters()] == [p.data for p in theirs.parameters()]
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_same_inputs_give_the_same_outputs_and_gradients(build: Callable[[Any], Any]) -> None:
    pair = []
    for nn in (micrograd.nn, microgrud.nn):
        random.seed(7)
        model = build(nn)
        first = getattr(model, "layers", [model])[0]
        neuron = getattr(first, "neurons", [first])[0]
        out = model([0.5, -1.5, 2.0][: len(neuron.w)])
        outputs = out if isinstance(out, list) else [out]
        sum(outputs[1:], outputs[0] * 1.0).backward()
        pair.append(([x.data for x in outputs], [p.grad for p in model.parameters()]))
    (theirs, their_gradients), (ours, our_gradients) = pair

    assert ours == pytest.approx(theirs, rel=1e-12, abs=0.0)
    assert our_gradients == pytest.approx(their_gradients, rel=1e-12, abs=0.0)


def two_moons(n: int, seed: int) -> tuple[list[list[float]], list[int]]:
    """Points on two interleaved half circles, with noise, labelled -1 and 1."""
    rng = random.Random(seed)
    points, labels = [], []
    for i in range(n):
        label, angle = (1 if i % 2 else -1), rng.uniform(0.0, math.pi)
        x, y = (1.0 - math.cos(angle), 0.5 - math.sin(angle)) if label == 1 else (math.cos(angle), math.sin(angle))
        points.append([x + rng.gauss(0.0, 0.1), y + rng.gauss(0.0, 0.1)])
        labels.append(label)
    return points, labels


def moons_loss(model: Any, value: Callable[[float], Any], xs: list[list[float]], ys: list[int]) -> Any:
    """Max-margin loss and weight decay, the way a micrograd program writes them."""
    scores = [model([value(x) for x in row]) for row in xs]
    losses = [(1 + -y * score).relu() for y, score in zip(ys, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    return data_loss + 1e-4 * sum(p * p for p in model.parameters())


def own_moons_loss(model: Any, value: Callable[[float], Any], xs: list[list[float]], ys: list[int]) -> Any:
    """The same, with the losses that microgrud has."""
    return hinge([model(row) for row in xs], ys) + l2_penalty(model.parameters(), 1e-4)


def train(nn: Any, value: Callable[[float], Any], loss_of: Callable[..., Any], steps: int = 20) -> list[float]:
    """Return the loss at each step, and the parameters at the end."""
    random.seed(42)
    model = nn.MLP(2, [6, 6, 1])
    xs, ys = two_moons(20, seed=1)
    trajectory = []
    for k in range(steps):
        loss = loss_of(model, value, xs, ys)
        model.zero_grad()
        loss.backward()
        rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= rate * p.grad
        trajectory.append(loss.data)
    return trajectory + [p.data for p in model.parameters()]


@pytest.mark.parametrize("loss_of", [moons_loss, own_moons_loss])
def test_training_follows_micrograds_trajectory(loss_of: Callable[..., Any]) -> None:
    theirs = train(micrograd.nn, micrograd.engine.Value, moons_loss)
    ours = train(microgrud.nn, Value, loss_of)

    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    assert ours[19] < 0.6 * ours[0]


# --- programs that reach inside ---------------------------------------------------------------------------------------


def test_a_node_built_by_hand_takes_part_in_the_backward_pass() -> None:
    def tanh(x: Value) -> Value:
        t = (math.exp(2 * x.data) - 1) / (math.exp(2 * x.data) + 1)
        out = Value(t, (x,), "tanh")

        def _backward() -> None:
            x.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    x = Value(0.7)
    y = tanh(x * 2) * x
    y.backward()

    assert y.data == pytest.approx(math.tanh(1.4) * 0.7, rel=1e-15, abs=0.0)
    assert x.grad == pytest.approx(math.tanh(1.4) + 0.7 * 2 * (1 - math.tanh(1.4) ** 2), rel=1e-15, abs=0.0)


def test_a_graph_can_be_traced_through_prev_and_op() -> None:
    def trace(root: Value) -> tuple[set[Value], set[tuple[Value, Value]]]:
        nodes, edges = set(), set()

        def build(v: Value) -> None:
            if v not in nodes:
                nodes.add(v)
                for child in v._prev:
                    edges.add((child, v))
                    build(child)

        build(root)
        return nodes, edges

    a, b = Value(2.0), Value(-3.0)
    root = (a * b + a).relu()
    nodes, edges = trace(root)

    assert sorted(n._op for n in nodes) == ["", "", "*", "+", "ReLU"]
    assert len(edges) == 5


def test_a_module_that_overrides_parameters_alone_works() -> None:
    class Pair(microgrud.nn.Module):
        def __init__(self) -> None:
            self.left, self.right = Layer(2, 2), Neuron(2, nonlin=False)

        def __call__(self, x: list[float]) -> Value:
            return self.right(self.left(x))

        def parameters(self) -> list[Value]:
            return self.left.parameters() + self.right.parameters()

    model = Pair()
    model([1.0, 2.0]).backward()
    assert model.right.b is not None
    assert model.right.b.grad == 1.0
    model.zero_grad()

    assert {p.grad for p in model.parameters()} == {0.0}
    assert [name for name, _ in model.named_parameters()][-3:] == ["right.w.0", "right.w.1", "right.b"]


def test_a_network_is_a_list_of_layers_of_lists_of_neurons() -> None:
    model = MLP(3, [4, 1])

    assert [len(layer.neurons) for layer in model.layers] == [4, 1]
    assert [n.nonlin for layer in model.layers for n in layer.neurons] == [True] * 4 + [False]
    assert len(model.layers[0].neurons[0].w) == 3
    assert isinstance(model([1, 2, 3]), Value)


def test_a_graph_is_drawn_from_prev_op_data_and_grad() -> None:
    x, w = Value(2.0, label="x"), Value(-3.0, label="w")
    root = (x * w + 10.0).relu()
    root.backward()
    lines, waiting, seen = [], [root], set()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            lines.append(f"{node.label} {node._op} {node.data:.1f} {node.grad:.1f}")
            waiting.extend(node._prev)

    assert sorted(lines) == [" * -6.0 1.0", " + 4.0 1.0", " ReLU 4.0 1.0", "w  -3.0 2.0", "x  2.0 -3.0"]


def test_the_backward_pass_may_be_walked_by_hand() -> None:
    a, b, c = Value(2.0), Value(-3.0), Value(10.0)
    d = a * b
    root = (d + c) * a
    root.grad = 1.0
    for node in (root, root._prev[0], d, c, b, a):
        node._backward()

    assert (a.grad, b.grad, c.grad) == (-3.0 * 2.0 + 4.0, 4.0, 2.0)


def test_what_differs_from_micrograd_is_what_the_readme_names() -> None:
    x, y = Value(3.0), Value(4.0)

    assert ((x + 1.0)._prev, (x * y)._prev) == ((x,), (x, y))  # plain numbers are not nodes, and a tuple keeps order
    assert [z._op for z in (x**2, x / y, x - y, -x)] == ["**", "/", "-", "-"]
    assert [bool(Value(0.0)), bool(x)] == [False, True]
    for data in (None, "1", [1.0], [[1.0]]):
        with pytest.raises(TypeError):
            Value(data)
    assert type(Value(True).data) is float


def test_optimizers_that_keep_their_state_in_lists_or_in_a_dict_by_node_agree() -> None:
    found = []
    for by_node in (False, True):
        parameters = [Value(1.0), Value(-2.0)]
        velocities: Any = dict.fromkeys(parameters, 0.0) if by_node else [0.0] * len(parameters)
        for _ in range(30):
            for p in parameters:
                p.grad = 0
            sum((p - 3) ** 2 for p in parameters).backward()  # type: ignore[union-attr]
            for i, p in enumerate(parameters):
                key: Any = p if by_node else i
                velocities[key] = 0.9 * velocities[key] + p.grad
                p.data -= 0.01 * velocities[key]
        found.append([p.data for p in parameters])

    assert found[0] == found[1]


def test_a_loader_a_criterion_and_an_optimizer_as_objects() -> None:
    """The shape of training frameworks: each part is an object that knows the others by their calls alone."""

    class Loader:
        def __init__(self, rows: list[list[float]], targets: list[int]) -> None:
            self.rows, self.targets, self.at = rows, targets, 0

        def __iter__(self) -> Loader:
            self.at = 0
            return self

        def __next__(self) -> tuple[list[list[Value]], list[int]]:
            if self.at >= len(self.rows):
                raise StopIteration
            self.at += 5
            batch = slice(self.at - 5, self.at)
            return [list(map(Value, row)) for row in self.rows[batch]], self.targets[batch]

    class Descent:
        def __init__(self, model: Any, lr: float) -> None:
            self.model, self.lr = model, lr

        def step(self) -> None:
            for p in self.model.parameters():
                p.data -= self.lr * p.grad

    random.seed(3)
    model = MLP(2, [6, 1])
    optimizer, losses = Descent(model, 0.1), []
    for _ in range(20):
        for rows, targets in Loader(*two_moons(20, seed=2)):
            margins = [(1 + -t * out).relu() for t, out in zip(targets, map(model, rows))]
            loss = sum(margins) * (1.0 / len(margins))
            model.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.data)

    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])


# --- microgpt: local gradients in place of closures -------------------------------------------------------------------


class Scalar:
    """A node that keeps its children with their local gradients: the rival, of microgpt's kind."""

    def __init__(self, data: float, children: tuple[Scalar, ...] = (), local_grads: tuple[float, ...] = ()) -> None:
        self.data, self.grad, self.edges = data, 0.0, tuple(zip(children, local_grads))

    def __add__(self, other: Any) -> Scalar:
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Any) -> Scalar:
        other = other if isinstance(other, Scalar) else Scalar(other)
        return Scalar(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n: float) -> Scalar:
        return Scalar(self.data**n, (self,), (n * self.data ** (n - 1),))

    def log(self) -> Scalar:
        return Scalar(math.log(self.data), (self,), (1.0 / self.data,))

    def exp(self) -> Scalar:
        z = math.exp(self.data)
        return Scalar(z, (self,), (z,))

    __radd__, __rmul__ = __add__, __mul__
    __neg__ = lambda self: self * -1.0  # noqa: E731
    __sub__ = lambda self, other: self + -other  # noqa: E731
    __truediv__ = lambda self, other: self * other**-1  # noqa: E731

    def backward(self) -> None:
        order: dict[Scalar, None] = {}

        def visit(node: Scalar) -> None:
            if node not in order:
                for child, _ in node.edges:
                    visit(child)
                order[node] = None

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for child, slope in node.edges:
                child.grad += slope * node.grad


WORDS = ["ada", "bela", "dana", "ella", "hana", "lena", "nada", "neda"]


def babble(value: Any, relu: Callable[[Any], Any], steps: int = 12) -> str:
    """Train one head of attention over letters, sample from it, and return all that would be printed."""
    rng = random.Random(4)
    letters = sorted({c for word in WORDS for c in word})
    end, width = len(letters), 4

    def matrix(rows: int) -> list[list[Any]]:
        return [[value(rng.gauss(0.0, 0.3)) for _ in range(width)] for _ in range(rows)]

    embedding, query, key, content, out = matrix(end + 1), matrix(width), matrix(width), matrix(width), matrix(end + 1)
    parameters = [p for rows in (embedding, query, key, content, out) for row in rows for p in row]
    first, second = [0.0] * len(parameters), [0.0] * len(parameters)

    def linear(x: list[Any], rows: list[list[Any]]) -> list[Any]:
        return [sum(w * xi for w, xi in zip(row, x)) for row in rows]

    def softmax(scores: list[Any]) -> list[Any]:
        most = max(s.data for s in scores)
        exps = [(s - most).exp() for s in scores]
        total = sum(exps)
        return [e / total for e in exps]

    def next_letter(token: int, past: list[tuple[list[Any], list[Any]]]) -> list[Any]:
        x = embedding[token]
        scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
        x = [xi * scale for xi in x]
        q = linear(x, query)
        past.append((linear(x, key), linear(x, content)))
        shares = softmax([sum(qi * ki for qi, ki in zip(q, k)) / 2.0 for k, _ in past])
        mixed = [sum(s * c[j] for s, (_, c) in zip(shares, past)) for j in range(width)]
        return softmax(linear([relu(m) + xi for m, xi in zip(mixed, x)], out))

    lines = []
    for step in range(steps):
        tokens = [end, *(letters.index(c) for c in WORDS[step % len(WORDS)]), end]
        past: list[tuple[list[Any], list[Any]]] = []
        losses = [-next_letter(a, past)[b].log() for a, b in itertools.pairwise(tokens)]
        loss = (1.0 / len(losses)) * sum(losses)
        loss.backward()
        for i, p in enumerate(parameters):
            first[i] = 0.85 * first[i] + 0.15 * p.grad
            second[i] = 0.99 * second[i] + 0.01 * p.grad**2
            p.data -= (
                0.05 * first[i] / (1 - 0.85 ** (step + 1)) / ((second[i] / (1 - 0.99 ** (step + 1))) ** 0.5 + 1e-8)
            )
            p.grad = 0
        lines.append(f"step {step + 1} | loss {loss.data:.4f}")
    for _ in range(5):
        token, word, past = end, "", []
        while len(word) < 8:
            shares = next_letter(token, past)
            token = rng.choices(range(end + 1), weights=[s.data for s in shares])[0]
            if token == end:
                break
            word += letters[token]
        lines.append(word)
    return "\n".join(lines)


def test_a_language_model_of_microgpts_kind_prints_the_same_text() -> None:
    def relu_of(value: Any) -> Callable[[Any], Any]:
        return lambda x: value(max(0.0, x.data), (x,), (float(x.data > 0),))

    theirs = babble(Scalar, relu_of(Scalar))

    assert babble(Value, relu_of(Value)) == theirs  # with a node built by hand in every layer
    assert babble(Value, lambda x: x.relu()) == theirs
    assert theirs.startswith("step 1 | loss 2.")
