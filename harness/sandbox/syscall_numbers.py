"""Numbers of the system calls that the sandbox's filter knows, by architecture.

One row per call: name, x86-64, aarch64; a dash where an architecture lacks it. Source: Linux 6.1,
`asm/unistd_64.h` and `asm-generic/unistd.h`, which the tests compare where they are installed.
"""

from __future__ import annotations

#: Calls without a way out of the process: its files, memory, threads, clocks, and itself.
ALLOWED = """
# files and directories
read 0 63
write 1 64
readv 19 65
writev 20 66
pread64 17 67
pwrite64 18 68
preadv 295 69
pwritev 296 70
preadv2 327 286
pwritev2 328 287
open 2 -
openat 257 56
creat 85 -
close 3 57
close_range 436 436
lseek 8 62
dup 32 23
dup2 33 -
dup3 292 24
flock 73 32
fsync 74 82
fdatasync 75 83
truncate 76 45
ftruncate 77 46
fallocate 285 47
fadvise64 221 223
sendfile 40 71
copy_file_range 326 285
stat 4 -
lstat 6 -
fstat 5 80
newfstatat 262 79
statx 332 291
statfs 137 43
fstatfs 138 44
access 21 -
faccessat 269 48
faccessat2 439 439
getcwd 79 17
chdir 80 49
fchdir 81 50
getdents 78 -
getdents64 217 61
mkdir 83 -
mkdirat 258 34
rmdir 84 -
unlink 87 -
unlinkat 263 35
rename 82 -
renameat 264 38
renameat2 316 276
link 86 -
linkat 265 37
symlink 88 -
symlinkat 266 36
readlink 89 -
readlinkat 267 78
chmod 90 -
fchmod 91 52
fchmodat 268 53
utime 132 -
utimes 235 -
utimensat 280 88
futimesat 261 -
umask 95 166
# pipes and waiting
pipe 22 -
pipe2 293 59
poll 7 -
ppoll 271 73
select 23 -
pselect6 270 72
epoll_create 213 -
epoll_create1 291 20
epoll_ctl 233 21
epoll_wait 232 -
epoll_pwait 281 22
epoll_pwait2 441 441
eventfd 284 -
eventfd2 290 19
getsockname 51 204
getpeername 52 205
getsockopt 55 209
setsockopt 54 208
shutdown 48 210
recvfrom 45 207
# memory
mmap 9 222
mprotect 10 226
munmap 11 215
brk 12 214
mremap 25 216
madvise 28 233
msync 26 227
mincore 27 232
# signals of its own
rt_sigaction 13 134
rt_sigprocmask 14 135
rt_sigreturn 15 139
rt_sigpending 127 136
rt_sigtimedwait 128 137
rt_sigsuspend 130 133
sigaltstack 131 132
pause 34 -
restart_syscall 219 128
# time
nanosleep 35 101
clock_nanosleep 230 115
clock_gettime 228 113
clock_getres 229 114
gettimeofday 96 169
time 201 -
times 100 153
getitimer 36 102
setitimer 38 103
alarm 37 -
# threads
futex 202 98
set_robust_list 273 99
get_robust_list 274 100
set_tid_address 218 96
rseq 334 293
membarrier 324 283
sched_yield 24 124
sched_getaffinity 204 123
sched_getparam 143 121
sched_getscheduler 145 120
sched_get_priority_max 146 125
sched_get_priority_min 147 126
getpriority 140 141
getcpu 309 168
exit 60 93
exit_group 231 94
wait4 61 260
waitid 247 95
# asking about itself
getpid 39 172
getppid 110 173
gettid 186 178
getuid 102 174
geteuid 107 175
getgid 104 176
getegid 108 177
getgroups 115 158
getresuid 118 148
getresgid 120 150
getpgrp 111 -
getpgid 121 155
getsid 124 156
uname 63 160
sysinfo 99 179
getrusage 98 165
getrlimit 97 163
setrlimit 160 164
capget 125 90
getrandom 318 278
"""

#: Calls that are allowed with some arguments only, by rules in `seccomp.py`.
FILTERED = """
ioctl 16 29
fcntl 72 25
kill 62 129
tgkill 234 131
clone 56 220
prlimit64 302 261
socketpair 53 199
sendto 44 206
clone3 435 435
"""

_COLUMNS = {"x86_64": 1, "aarch64": 2}


def numbers(table: str, machine: str) -> dict[str, int]:
    """The calls of a table that an architecture has, by name."""
    rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
    column = _COLUMNS[machine]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
