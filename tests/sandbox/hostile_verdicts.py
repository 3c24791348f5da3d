"""Programs that forge the verdict on themselves."""

from __future__ import annotations

#: Whole completions: these do not double but try to be taken for right.
FAKES = {
    "exit when loaded": "    pass\n\nimport os\nos._exit(0)\n",
    "exit when called": "    import os\n    os._exit(0)\n",
    "SystemExit when loaded": "    pass\n\nraise SystemExit(0)\n",
    "SystemExit when called": "    raise SystemExit(0)\n",
    "KeyboardInterrupt": "    raise KeyboardInterrupt\n",
    "GeneratorExit": "    raise GeneratorExit\n",
    "StopIteration": "    raise StopIteration\n",
    "AssertionError": "    raise AssertionError\n",
    "an object equal to everything": """\
    class Equal:
        def __eq__(self, other):
            return True
    return Equal()
""",
    "a number equal to everything": """\
    class Equal(int):
        def __eq__(self, other):
            return True
        __hash__ = int.__hash__
    return Equal(7)
""",
    "a text equal to everything": """\
    class Equal(str):
        def __eq__(self, other):
            return True
        __hash__ = str.__hash__
    return Equal('7')
""",
    "a list equal to everything": """\
    class Equal(list):
        def __eq__(self, other):
            return True
    return Equal([7])
""",
    "a class that is equal to everything": """\
    class Meta(type):
        def __eq__(cls, other):
            return True
        __hash__ = type.__hash__
    class Equal(metaclass=Meta):
        pass
    return Equal
""",
    "a type that lies": """\
    class Lie:
        __class__ = int
        def __eq__(self, other):
            return True
    return Lie()
""",
    "NotImplemented": "    return NotImplemented\n",
    "an endless iterator": "    import itertools\n    return itertools.count()\n",
    "a result list among the frames": """\
    import sys
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if type(value).__name__ in ('list', 'ListProxy'):
                value.append('passed')
        frame = frame.f_back
    import os
    os._exit(0)
""",
    "frames that are told to return": """\
    import sys
    frame = sys._getframe(1)
    while frame is not None:
        for name, value in list(frame.f_globals.items()):
            if callable(value) and name not in ('print',):
                try:
                    frame.f_globals[name] = lambda *a, **k: {'returned': 42, 'changed': None}
                except Exception:
                    pass
        frame = frame.f_back
    return None
""",
    "patched exceptions": """\
    import builtins
    class Never(BaseException):
        pass
    builtins.AssertionError = Never
    builtins.Exception = Never
    return None
""",
    "patched builtins": """\
    import builtins
    builtins.isinstance = builtins.all = builtins.any = lambda *a: True
    builtins.len = lambda x: 2
    builtins.exec = builtins.compile = lambda *a, **k: None
    return None
""",
    "patched codec": """\
    import gc
    for thing in gc.get_objects():
        if type(thing) is dict and 'encode' in thing and '_ENCODERS' in thing:
            thing['encode'] = lambda value, depth=0: ['everything']
    return None
""",
    "a search for the tests": """\
    import gc
    marker = ' '.join(['the', 'tests', 'are', 'not'])
    for thing in gc.get_objects():
        values = thing.values() if type(thing) is dict else thing
        for value in list(values) if type(thing) in (dict, list, tuple) else ():
            if type(value) is str and marker in value:
                return x + x
    return None
""",
    "a search for the judge": """\
    import gc
    for thing in gc.get_objects():
        names = ('_verdict', '_judged', 'of_raised')
        if type(thing).__name__ == 'function' and thing.__name__ in names:
            thing.__code__ = (lambda *a, **k: ('passed', '')).__code__
    return None
""",
    "a forged answer": """\
    import json, os, struct
    body = json.dumps({'returned': 41, 'changed': [42]}).encode()
    for _ in range(8):
        os.write(3, struct.pack('!I', len(body)) + body)
    return None
""",
    "a forged verdict": """\
    import json, os, struct
    for message in ({'verdict': ['passed', '']}, {'confined': True}, {'ready': True}, ['passed']):
        body = json.dumps(message).encode()
        for descriptor in range(64):
            try:
                os.write(descriptor, struct.pack('!I', len(body)) + body)
            except OSError:
                pass
    os._exit(0)
""",
    "a forged header": "    import os\n    os.write(3, b'\\xff' * 64)\n    return None\n",
    "a forged kind": """\
    import json, os, struct
    body = json.dumps({'returned': ['__import__', 'os'], 'changed': None}).encode()
    os.write(3, struct.pack('!I', len(body)) + body)
    return None
""",
    "an answer as deep as the stack": """\
    import os, struct
    body = b'{"returned":' + b'[' * 4_000_000
    os.write(3, struct.pack('!I', len(body)) + body)
    return None
""",
    "an answer of 50 MB": "    return 'x' * (50 << 20)\n",
    "a stream without end": """\
    import os
    while True:
        os.write(3, bytes(1 << 16))
""",
    "an exception that lies": """\
    class Lie(AssertionError):
        def __str__(self):
            raise SystemExit
        __class__ = property(lambda self: 1 / 0)
    raise Lie
""",
    "every exception swallowed": """\
    try:
        import os
        os.kill(os.getppid(), 0)
    except BaseException:
        pass
    finally:
        return None
""",
    "expected results changed through the argument": """\
    if isinstance(x, list):
        x[:] = [1, 1]
    return x
""",
    "nothing at all": "    pass\n",
    "no such function": "    pass\n\ndel double\n",
    "no Python": "    return (\n",
    "a text without end": "    '''\n",
}
