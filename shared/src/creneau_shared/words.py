"""A theme of the catalogue of words: the wording of refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from creneau_shared.errors import CreneauError
from creneau_shared.refusal import Refusal

R = TypeVar("R", bound=Refusal)


class Theme:
    """Refusals of one kind, each with the function that words it."""

    def __init__(self) -> None:
        self._sayings: dict[type[Refusal], Callable[..., CreneauError]] = {}

    def says(self, refusal: type[R]) -> Callable[[Callable[[R], CreneauError]], Callable[[R], CreneauError]]:
        """Decorates the function that words one refusal."""

        def kept(saying: Callable[[R], CreneauError]) -> Callable[[R], CreneauError]:
            if refusal in self._sayings:
                raise TypeError(f"{refusal.__name__} is said twice")
            self._sayings[refusal] = saying
            return saying

        return kept

    def __iter__(self) -> Iterator[tuple[type[Refusal], Callable[..., CreneauError]]]:
        return iter(self._sayings.items())
