"""Programs that take all there is, outlive their time, or end in ways of their own."""

from __future__ import annotations

#: Bombs: whoever makes more than an honest program needs has succeeded.
BOMBS = {
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

OTHER_PROGRAMS = {
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

OUTLIVING = {
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

CRASHES = {
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
