from typing import Any

import numpy.typing as npt

OPERATION_CODES: dict[str, int]
VARIANTS: list[str]
BLOCK: int
CODE_LINEAR: int
CODE_MATRIX: int
CODE_TAKE: int
CODE_DETACH: int
CODE_DOT: int
CODE_SOFTMAX: int
CODE_LOG_SOFTMAX: int
CODE_TANH: int

class Tape:
    """A program for the interpreter."""

    def __init__(
        self,
        uniform_count: int,
        varying_count: int,
        code: npt.NDArray[Any],
        starts: npt.NDArray[Any],
        inputs: npt.NDArray[Any],
        outputs: npt.NDArray[Any],
        guards: npt.NDArray[Any],
        variant: str | None = None,
        /,
    ) -> None: ...
    def run(
        self,
        samples: int,
        inputs: npt.NDArray[Any],
        uniform: npt.NDArray[Any],
        seeds: npt.NDArray[Any] | None,
        outputs: npt.NDArray[Any],
        gradients: npt.NDArray[Any] | None,
        uniform_gradients: npt.NDArray[Any] | None,
        status: npt.NDArray[Any],
        ignore: bool,
        /,
    ) -> None: ...
    def run_alone(self, uniform: npt.NDArray[Any], gradients: npt.NDArray[Any] | None, /) -> bool: ...
