"""Why a calendar elsewhere was not read. What is said holds neither the address nor anything of what stands there."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

Problem = Literal["not-reached", "led-away", "not-allowed", "unreadable", "too-large", "password-lost"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)


class NotReadError(Exception):
    """A calendar elsewhere was not read."""

    problem: ClassVar[Problem]


class UnreachableError(NotReadError):
    """Nothing that can be used came from there."""

    problem = "not-reached"


class StrayedError(NotReadError):
    """The address leads where nobody follows: with a password, to another domain or without encryption."""

    problem = "led-away"


class NotPublicError(StrayedError):
    """The address leads, or may lead, into a network that is not the public internet."""


class NotAllowedError(NotReadError):
    """The calendar's server refused access."""

    problem = "not-allowed"


class UnreadableError(NotReadError):
    """The calendar's server answered with something that is no calendar."""

    problem = "unreadable"


class TooLargeError(NotReadError):
    """What stands there is more of a calendar than is read."""

    problem = "too-large"


class PasswordLostError(NotReadError):
    """The password can be opened no more: the secret that sealed it is another one now."""

    problem = "password-lost"
