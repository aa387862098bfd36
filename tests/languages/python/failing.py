"""What the host's functions raise, as what `process` and `push` fail with."""

import functools

from componentize_py_types import Err
from wit_world.imports.types import ProcessFailure, PushFailure


def fails_as(kind):
    """Makes `Err(failure)`, raised in the method and not caught there, an `Err` of this kind: that of the whole batch.

    Without it `Err(failure)` reaches the bindings, which expect `Err(ProcessFailure)`, and the stage traps.
    """

    def wrap(method):
        @functools.wraps(method)
        def wrapped(*arguments):
            try:
                return method(*arguments)
            except Err as error:
                if isinstance(error.value, kind):
                    raise
                raise Err(kind(error.value, None)) from error

        return wrapped

    return wrap


process = fails_as(ProcessFailure)
push = fails_as(PushFailure)
