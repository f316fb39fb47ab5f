"""The parameters of a module, and their gradients, as vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..autodiff.trees import check_unmasked
from ..engine import Value
from ..engine.vectors import Vector, checked_vector, read_data, read_gradients, write_data, write_gradients


class ParameterVectors:
    """The methods of modules that read and write all parameters at once."""

    def parameters(self) -> list[Value]:
        """Return the parameters, in a fixed order, each once."""
        raise NotImplementedError

    def get_vector(self) -> Vector:
        """Return the numbers of the parameters as a new vector, in the order of `parameters()`.

        >>> from microgrud.nn import Module
        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> Line().get_vector()
        array([2., 1.])
        """
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        return read_data(parameters)

    def set_vector(self, vector: Iterable[float]) -> None:
        """Set the parameters, in the order of `parameters()`, to the numbers of a vector; gradients stay as they are.

        Raises:
            TypeError, ValueError: if these are not real numbers, one for each parameter; then none is changed.

        >>> from microgrud.nn import Module
        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> line.set_vector([3.0, 0.5])
        >>> line.state_dict()
        {'slope': 3.0, 'offset': 0.5}
        """
        where = f"{type(self).__name__}.set_vector"
        check_unmasked(vector, where)
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        write_data(parameters, checked_vector(where, vector, len(parameters)))

    def get_gradient_vector(self) -> Vector:
        """Return the grad of the parameters as a new vector of float64, in the order of `parameters()`.

        Processes that share the samples of a batch (MPI, Dask) add up these vectors.

        >>> from microgrud.nn import Module
        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> (line.slope * 3.0 + line.offset).backward()
        >>> line.get_gradient_vector()
        array([3., 1.])
        """
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        return read_gradients(parameters)

    def set_gradient_vector(self, vector: Iterable[float]) -> None:
        """Set the grad of the parameters, in the order of `parameters()`, to the numbers of a vector.

        Raises:
            TypeError, ValueError: if these are not real numbers, one for each parameter; then none is changed.

        >>> from microgrud.nn import Module
        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> line.set_gradient_vector([3.0, 0.5])
        >>> line.offset.grad
        0.5
        """
        where = f"{type(self).__name__}.set_gradient_vector"
        check_unmasked(vector, where)
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        write_gradients(parameters, checked_vector(where, vector, len(parameters)))


def _refuse_while_recording(parameters: Sequence[Value]) -> None:
    """Raise if `compile` is recording: a recording cannot hold what reads or changes the number of a parameter."""
    for parameter in parameters[:1]:
        _ = parameter.data
