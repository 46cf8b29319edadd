"""Fields of frozen dataclasses that are worked out when somebody first reads them: draws that nobody asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload


class Deferred[T]:
    """A value that is worked out once, when it is asked for; it travels and is copied deeply as the value itself."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._value: T | None = None

    def value(self) -> T:
        """The value; what it was made of is let go."""
        work = self._work  # held here, for another thread may be through with it meanwhile
        if work is not None:
            self._value = work()
            self._work = None
        return self._value  # type: ignore[return-value]  # set before the work is let go

    def __reduce__(self) -> tuple[Callable[[T], T], tuple[T]]:
        return _itself, (self.value(),)


class Later[T]:
    """A field of a dataclass that takes a value or a Deferred one, and gives the value; ``default`` is its default."""

    def __init__(self, *default: T) -> None:
        self._default = default

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> T: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T:
        if instance is None:  # a dataclass asks for the default of the field
            if not self._default:
                raise AttributeError(self._name)
            return self._default[0]
        value = vars(instance)[self._name]
        if isinstance(value, Deferred):
            value = vars(instance)[self._name] = value.value()
        return value  # type: ignore[no-any-return]

    def __set__(self, instance: object, value: T | Deferred[T]) -> None:
        vars(instance)[self._name] = value


def is_pending(instance: object, name: str) -> bool:
    """Whether nobody has read this field of an instance yet."""
    return isinstance(vars(instance)[name], Deferred)


def _itself[T](value: T) -> T:
    return value
