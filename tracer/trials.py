"""Loops over Python values that are being tried as loops of the IR, and the signal that ends such a trial.

Within a trial the body runs once, with numbers of unknown value. Where it needs a number's value, or does something
that Python must do on every trip, `give_up` ends the trial: the loop that is concerned starts over, unrolled.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any, NoReturn


class Unroll(BaseException):
    """Ends the trial of a loop. No Exception, so that user code does not catch it.

    Attributes:
      reason: why. trial: the trial that cannot go on. first_trip: whether that may concern the first trip only.
    """

    def __init__(self, reason: str, trial: Any, first_trip: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.trial, self.first_trip = reason, trial, first_trip


class Trials(threading.local):
    """The open trials of this thread, innermost last."""

    def __init__(self) -> None:
        self.open: list[Any] = []


trials = Trials()


def give_up(reason: str, owners: Collection[Any] | None = None, first_trip: bool = False) -> None:
    """Ends the innermost open trial (among `owners`, if given); gives nothing when there is none.

    Raises:
      Unroll: to the loop that is to be unrolled.
    """
    for trial in reversed(trials.open):
        if owners is None or trial in owners:
            raise Unroll(reason, trial, first_trip)


def impossible(reason: str, owners: Collection[Any] | None = None, first_trip: bool = False) -> NoReturn:
    """As `give_up`. Raises TypeError when no trial is open."""
    give_up(reason, owners, first_trip)
    raise TypeError(reason)
