"""One step after another with a bar on a terminal: what is done, how long it took, what came of it."""

from collections.abc import Callable
from time import perf_counter
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Result = TypeVar("Result")
Tell = Callable[[int, int], None]  # done, in all


class Step(Protocol):
    """Does something, tells how far it is, and says what came of it."""

    def __call__(self, name: str, do: Callable[[Tell], Result], said: Callable[[Result], str] = lambda _: "") -> Result:
        """What `do` gives."""


def silent(name: str, do: Callable[[Tell], Result], said: Callable[[Result], str] = lambda _: "") -> Result:
    """A step without a word."""
    del name, said
    return do(lambda *_: None)


class Steps:
    """Steps on a console: one line each when it is over, and a bar meanwhile where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, name: str, do: Callable[[Tell], Result], said: Callable[[Result], str] = lambda _: "") -> Result:
        """Do one."""
        began = perf_counter()
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        with bar:
            task = bar.add_task(f"{name:<36}", total=None)
            result = do(lambda done, total: bar.update(task, completed=done, total=total))
        line = f"{name:<36} {perf_counter() - began:5.1f} s   {said(result)}".rstrip()
        self._console.print(line, markup=False, soft_wrap=True)
        return result
