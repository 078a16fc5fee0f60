"""Why an external calendar was not read. The errors contain neither its address nor anything of its content."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

Problem = Literal["not-reached", "led-away", "not-allowed", "unreadable", "too-large", "password-lost"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)


class NotReadError(Exception):
    """An external calendar was not read."""

    problem: ClassVar[Problem]


class UnreachableError(NotReadError):
    """The calendar's server gave no usable answer."""

    problem = "not-reached"


class StrayedError(NotReadError):
    """The address redirects where it is not followed: with a password, to another domain or without encryption."""

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
    """The calendar is larger than the limits of reading."""

    problem = "too-large"


class PasswordLostError(NotReadError):
    """The password cannot be decrypted any more: the secret that sealed it has changed."""

    problem = "password-lost"
