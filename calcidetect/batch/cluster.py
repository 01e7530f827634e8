"""A batch on a cluster of `dask.distributed`; the one importer of that library, an extra."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from functools import partial
from typing import Any, TypeVar

from calcidetect.batch.workers import TIME_OUT_S, call_apart
from calcidetect.errors import ConfigError, OutputError

R = TypeVar("R")

_CONNECT_S = 10.0


class ApartExecutor(Executor):
    """Calls of another executor, each in a process of its own on the worker's machine.

    So a film that crashes or never ends is lost alone there too, and not with its dask worker.
    """

    def __init__(self, executor: Executor, *, time_out_s: float) -> None:
        self._executor, self._time_out_s = executor, time_out_s

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function in a process beside the worker's."""
        return self._executor.submit(partial(call_apart, function, time_out_s=self._time_out_s), *args, **kwargs)


@contextlib.contextmanager
def dask_executor(address: str, *, time_out_s: float | None = None) -> Iterator[Executor]:
    """Connect to a scheduler, and hand it out as an executor.

    Parameters
    ----------
    address
        Of the scheduler: ``tcp://host:port``.
    time_out_s
        Seconds that a film may take; None for `workers.TIME_OUT_S`.

    Raises
    ------
    ConfigError
        When dask.distributed is missing here or calcidetect there, or nobody answers.
    OutputError
        When the connection is lost.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "--dask needs dask.distributed; install it with: pip install 'calcidetect[cluster]'."
        ) from error
    if "://" not in address:  # or distributed waits for it twice, and then ends in a traceback
        raise ConfigError(f"{address} is no address of a dask scheduler; give it as tcp://host:port.")
    try:
        client: Any = Client(address, timeout=_CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(f"No dask scheduler answers at {address}; give its address as tcp://host:port.") from error
    with client:
        try:
            yield ApartExecutor(client.get_executor(pure=False), time_out_s=time_out_s or TIME_OUT_S)
        except (CancelledError, TimeoutError) as error:
            raise OutputError(f"The dask scheduler at {address} was lost; start it again and use --resume.") from error
        except ImportError as error:
            raise ConfigError(
                f"The dask workers lack calcidetect or part of it ({error}); install it there."
            ) from error
