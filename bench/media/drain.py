"""Many datagrams out of a socket by one recvmmsg: the generator must not be what is measured."""

from __future__ import annotations

from collections.abc import Iterator

from cffi import FFI

COUNT, SIZE = 64, 2048
MSG_DONTWAIT = 0x40

ffi = FFI()
ffi.cdef("""
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; uint32_t msg_namelen; struct iovec *msg_iov; size_t msg_iovlen; void *msg_control;
                    size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout);
""")
libc = ffi.dlopen(None)
_memory = bytearray(COUNT * SIZE)
view = memoryview(_memory)
_pinned = ffi.from_buffer("char[]", _memory)
_messages = ffi.new("struct mmsghdr[]", COUNT)
_vectors = ffi.new("struct iovec[]", COUNT)
for _i in range(COUNT):
    _vectors[_i].iov_base = _pinned + _i * SIZE
    _vectors[_i].iov_len = SIZE
    _messages[_i].msg_hdr.msg_iov = _vectors + _i
    _messages[_i].msg_hdr.msg_iovlen = 1


def drain(fd: int) -> Iterator[tuple[int, int]]:
    """(offset in `view`, length) of every datagram that waits; valid until the next step."""
    while True:
        count = libc.recvmmsg(fd, _messages, COUNT, MSG_DONTWAIT, ffi.NULL)
        for i in range(count):
            yield i * SIZE, _messages[i].msg_len
        if count < COUNT:
            return
