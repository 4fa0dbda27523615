"""Nouns: what a client has operations for. Each operation is written once, as steps, and bound here to the shell that takes them.

`client.machines.get` of a Client is a function that returns a machine, that of an AsyncClient one that returns a coroutine for it. The
overloads below tell type checkers so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from statekeep.client.pages import AsyncPages, Listing, Pages
from statekeep.client.shell import Awaiting, Blocking
from statekeep.client.steps import Emits, Steps

P = ParamSpec("P")
T = TypeVar("T")
Shell = TypeVar("Shell")


class Noun(Generic[Shell]):
    """Operations on one kind of thing."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell


class _Bound:
    """A method that hands what its function returns to the shell of its noun."""

    def __init__(self, function: Callable[..., Any], hand_over: Callable[[Any, Any], Any]) -> None:
        @wraps(function)
        def method(noun: Noun[Any], *args: Any, **kwargs: Any) -> Any:
            return hand_over(noun.shell, function(noun, *args, **kwargs))

        self._method = method
        self.__doc__ = function.__doc__

    def bind(self, noun: Noun[Any] | None) -> Any:
        """As a method of `noun`; as it is where it is looked up on the class."""
        return self if noun is None else MethodType(self._method, noun)


class Operation(_Bound, Generic[P, T]):
    """Returns a result."""

    @overload
    def __get__(self, noun: None, owner: type) -> Self: ...
    @overload
    def __get__(self, noun: Noun[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, noun: Noun[Awaiting], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, noun: Noun[Any] | None, owner: type) -> Any:
        return self.bind(noun)


class Iteration(_Bound, Generic[P, T]):
    """Returns an iterator."""

    @overload
    def __get__(self, noun: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, noun: Noun[Blocking], owner: type
    ) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(
        self, noun: Noun[Awaiting], owner: type
    ) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, noun: Noun[Any] | None, owner: type) -> Any:
        return self.bind(noun)


class Lister(_Bound, Generic[P, T]):
    """Returns a list in pages."""

    @overload
    def __get__(self, noun: None, owner: type) -> Self: ...
    @overload
    def __get__(self, noun: Noun[Blocking], owner: type) -> Callable[P, Pages[T]]: ...
    @overload
    def __get__(self, noun: Noun[Awaiting], owner: type) -> Callable[P, AsyncPages[T]]: ...
    def __get__(self, noun: Noun[Any] | None, owner: type) -> Any:
        return self.bind(noun)


def operation(steps: Callable[Concatenate[Any, P], Steps[T]]) -> Operation[P, T]:
    """A method that returns, or returns a coroutine for, what its steps return."""
    return Operation(steps, lambda shell, taken: shell.take(taken))


def iteration(steps: Callable[Concatenate[Any, P], Emits[T]]) -> Iteration[P, T]:
    """A method that returns an iterator over what its steps emit."""
    return Iteration(steps, lambda shell, taken: shell.iterate(taken))


def listing(function: Callable[Concatenate[Any, P], Listing[T]]) -> Lister[P, T]:
    """A method that returns Pages, or AsyncPages, of what its function describes."""
    return Lister(function, lambda shell, described: shell.pages(described))
