"""Keeps the engine from running what a database row says.

DBOS chooses the decoder of a value by the ``serialization`` column beside it, whatever serializer
it was given: where a row says ``py_pickle`` it unpickles, and a pickle is a program. Whoever may
write one row of the engine would run code in every worker. We write JSON alone, so that nothing is
lost when the other decoder raises. ``tests/unit/flow/test_portable.py`` fails when a new version of
the engine reaches pickle by another way.
"""

import json
from typing import Any, NoReturn

from dbos import _serialization


class NotPortable(TypeError):
    """A row asks for an encoding that can carry a program."""


def forbid_pickle() -> None:
    """Have the engine of this process read no pickle and write none; asking twice is asking once.

    Of a workflow whose row asks for a pickle the engine records the error in that same encoding:
    it gets the error's name as JSON, so that the workflow ends instead of staying with its worker.
    """
    native = _serialization.DefaultSerializer
    native.serialize = _name_of  # type: ignore[assignment, method-assign]
    native.deserialize = _refuse  # type: ignore[assignment, method-assign]
    _serialization.pickle = _NoPickle()  # type: ignore[assignment, attr-defined]


class _NoPickle:
    """Stands where the engine has its module ``pickle``."""

    loads = dumps = staticmethod(lambda *_: _refuse())


def _name_of(_native: object, value: object) -> str:
    return json.dumps(type(value).__name__)


def _refuse(*_: Any) -> NoReturn:
    raise NotPortable("This node reads the engine's values as JSON alone.")
