"""Many datagrams a system call: `Outbox` for recvmmsg's sister sendmmsg, with packets sealed where they are sent from.

A slot is memory for one packet plus its iovec and msghdr, made once. libsrtp writes the length of the sealed packet
straight into the iovec. Linux; glibc and musl know the call. No compiler is needed: cffi calls it by its ABI.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any

from cffi import FFI  # type: ignore[import-untyped]
from pylibsrtp._binding import ffi as srtp_ffi  # type: ignore[import-not-found]

from chatd.bridge.srtp import LARGEST_BYTES, TRAILER_BYTES, protect

SLOTS = 64
SLOT_BYTES = LARGEST_BYTES + TRAILER_BYTES

ffi = FFI()
ffi.cdef("""
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; uint32_t msg_namelen; struct iovec *msg_iov; size_t msg_iovlen; void *msg_control;
                    size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
""")
libc = ffi.dlopen(None)


class Address:
    """A socket address in the kernel's form; `pointer` for msg_name, valid as long as this object lives."""

    __slots__ = ("host", "port", "size", "pointer", "_memory")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        if ":" in host:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
            raw = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + packed + bytes(4)
        else:
            raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
        self.size = len(raw)
        self._memory = ffi.new("char[]", raw)
        self.pointer = ffi.cast("void *", self._memory)


class Outbox:
    """Slots filled one after the other and sent by `flush`.

    The hot path (`forward.Layer`) works on the lists directly: fill `buffers[i]`, set `lengths[i][0]`, call
    `protect(handle, memory[i], lengths[i])`, set `headers[i].msg_name`, count `used` up and flush at SLOTS. All
    addresses are of one family. Counters: `sent`, `lost` (refused by the kernel; a full socket buffer loses the rest
    of its batch, as a full queue does).
    """

    def __init__(self, fd: int, name_bytes: int) -> None:
        self.fd = fd
        self.used = 0
        self.sent = 0
        self.lost = 0
        self._messages = ffi.new("struct mmsghdr[]", SLOTS)
        self._vectors = ffi.new("struct iovec[]", SLOTS)
        self.headers: list[Any] = [self._messages[i].msg_hdr for i in range(SLOTS)]
        self.buffers: list[bytearray] = []
        self.memory: list[Any] = []
        self.lengths: list[Any] = []
        for i in range(SLOTS):
            buffer = bytearray(SLOT_BYTES)
            memory = srtp_ffi.from_buffer("char[]", buffer)
            self.buffers.append(buffer)
            self.memory.append(memory)
            self._vectors[i].iov_base = ffi.cast("void *", int(srtp_ffi.cast("uintptr_t", memory)))
            place = int(ffi.cast("uintptr_t", ffi.addressof(self._vectors[i], "iov_len")))
            if sys.byteorder == "big":
                place += ffi.sizeof("size_t") - 4
            self.lengths.append(srtp_ffi.cast("int *", place))
            self.headers[i].msg_iov = self._vectors + i
            self.headers[i].msg_iovlen = 1
            self.headers[i].msg_namelen = name_bytes

    def add(self, handle: Any, address: Address, packet: bytes) -> bool:
        """Seal an RTP packet for this address and queue it; False if libsrtp refuses it."""
        i = self.used
        size = len(packet)
        if size > LARGEST_BYTES:
            return False
        self.buffers[i][0:size] = packet
        length = self.lengths[i]
        length[0] = size
        if protect(handle, self.memory[i], length):
            return False
        self.headers[i].msg_name = address.pointer
        self.used = i + 1
        if self.used == SLOTS:
            self.flush()
        return True

    def flush(self) -> None:
        """Hand all that is queued to the kernel."""
        total, done = self.used, 0
        self.used = 0
        while done < total:
            count = libc.sendmmsg(self.fd, self._messages + done, total - done, 0)
            if count > 0:
                done += count
                self.sent += count
                continue
            if ffi.errno == errno.EINTR:
                continue
            if ffi.errno in (errno.EAGAIN, errno.ENOBUFS):
                self.lost += total - done
                return
            # This one destination is unreachable, or the like: the others go on.
            done += 1
            self.lost += 1
