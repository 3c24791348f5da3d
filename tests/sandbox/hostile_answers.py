"""Programs that lie in what they answer: of types, objects, exceptions, and what they changed."""

from __future__ import annotations

import json

_SAY = """\
    import json, os, struct
    if not isinstance(x, {kind}):
        return x + x
    body = json.dumps({message!r}).encode()
    os.write(3, struct.pack('!I', len(body)) + body)
    return None
"""


def _said(message: object, kind: str = "list") -> str:
    """An answer of one's own making to the call with a list, right ones to the others."""
    assert json.dumps(message)
    return _SAY.format(kind=kind, message=message)


def _returned(value: object, objects: object = (), changed: object = (), kind: str = "list") -> str:
    answer = {"returned": value, "objects": list(objects), "changed": list(changed)}  # type: ignore[call-overload]
    return _said(answer, kind)


def _raised(*types: list[str], args: object = (), state: object = None) -> str:
    fields = {"types": types, "message": "", "args": args, "state": state or {}}
    raised = {**fields, "errno": None, "line": ""}
    return _said({"raised": raised, "objects": [], "changed": []}, "(int, str)")


_EQUAL = """\
    from collections import Counter, OrderedDict, defaultdict, deque
    from datetime import date, datetime, timedelta
    from decimal import Decimal
    from fractions import Fraction
    class Equal({base}):
        def __eq__(self, other):
            return True
        __hash__ = object.__hash__
        __reduce__ = __reduce_ex__ = lambda *_: (list, ([1, 1],))
        maxlen = default_factory = property(lambda self: list)
        __iter__ = items = keys = values = lambda self: iter([1, 1])
        __len__ = lambda self: 2
    return Equal({made}) if isinstance(x, list) else x + x
"""
_EXCEPTION = ["builtins", "Exception"]
#: Whole completions: these answer all calls but one by doubling, and that one with a lie.
ANSWERS = {
    **{
        f"a {base} equal to everything": _EQUAL.format(base=base, made=made)
        for base, made in {
            "Counter": "'a'",
            "OrderedDict": "a=1",
            "defaultdict": "int",
            "deque": "[1]",
            "dict": "a=1",
            "set": "[1]",
            "bytearray": "b'a'",
            "tuple": "[1]",
            "frozenset": "[1]",
            "date": "1, 1, 1",
            "datetime": "1, 1, 1",
            "timedelta": "1",
            "Decimal": "1",
            "Fraction": "1",
            "complex": "1",
        }.items()
    },
    "an object of another's": _returned(["own", 0, "list"]),
    "an object without a number": _returned(["own", [], {}]),
    "an object that is not there": _returned(["at", 1]),
    "an object from behind": _returned(["at", -1], [["list", [1]]]),
    "an object that is not a number": _returned(["at", True]),
    "an argument that becomes a dict": _returned(["at", 0], [], [[0, ["dict", [1, 1]]]]),
    "an argument that becomes a text": _returned(["at", 0], [], [[0, ["list", "11"]]]),
    "an argument that is not there": _returned(["at", 0], [], [[1, ["list", [1, 1]]]]),
    "an argument of its own kind of change": _returned(["at", 0], [], {"0": ["list", [1, 1]]}),
    "a list that holds itself": _returned(["at", 1], [["list", [["at", 1], ["at", 1]]]]),
    "a list as a key": _returned(["at", 1], [["dict", [["at", 0], 1]]]),
    "a default that is called": _returned(["at", 1], [["defaultdict", [], "exec"]]),
    "a length that is called": _returned(["at", 1], [["deque", [1, 1], ["at", 0]]]),
    "a type by its import": _returned(["at", 1], [["os.system", ["true"]]]),
    "a type by its number": _returned(["at", 1], [[["list"], [1, 1]]]),
    "a number as a program": _returned(["int", "__import__('os').getpid()"]),
    "a decimal as a program": _returned(["decimal", ["list", [1, 1]]]),
    "a time as its state": _returned(
        ["datetime", ["\x07\xe8\x01\x01\x00\x00\x00\x00\x00\x00"], []]
    ),
    "a zone that is called": _returned(["time", [1, 1, 1, 1], ["own", 1], 0]),
    "a view of anything": _returned(["items", [["at", 0]]]),
    "an answer and an exception": _said(
        {"returned": 1, "raised": {}, "objects": [], "changed": []}
    ),
    "no answer": _said({"objects": [], "changed": []}),
    "an answer that is a list": _said([1, 1]),
    "a class of the judge's": _raised(["harness.sandbox.judge", "Over"], _EXCEPTION),
    "a function as an exception": _raised(["os", "_exit"], ["builtins", "eval"], _EXCEPTION),
    "a type as an exception": _raised(["subprocess", "Popen"], ["builtins", "open"], _EXCEPTION),
    "an exception that exits": _raised(["builtins", "SystemExit"], args=[0]),
    "an exception of no type": _raised(),
    "an end of iteration": _raised(["builtins", "StopIteration"], _EXCEPTION),
    "an exception with a class": _raised(_EXCEPTION, state={"__class__": 1, "__traceback__": 1}),
    "an exception with a dict": _raised(["builtins", "OSError"], args=[{"a": 1}]),
    "an answer that is long to read": """\
    import os, struct
    body = b'{"changed":[],"objects":[' + b'["list",[["at",0]]],' * 2_000_000 + b'["list",[]]],'
    body += b'"returned":["at",1]}'
    os.write(3, struct.pack('!I', len(body)) + body)
    return None
""",
}
