#!/usr/bin/python3
"""recorded_disk.py DIRECTORY IMAGE RECORD - a disk that remembers each write and each flush, in their order

Serves DIRECTORY/disk by FUSE, for a loop device, until DIRECTORY is unmounted.  IMAGE has its
content.  What is written to DIRECTORY/notes, a text at a time, is recorded among the rest: who
notes there that an answer came has it before whatever the disk is told afterwards.

RECORD is a row of entries, HEAD and as many bytes as it says: a write to the disk at an offset,
a note, or a flush, which has none and tells that all before it is on the disk for good.  It is
there before the flush is answered.  One request is served after the other.
"""
import errno
import os
import stat
import struct
import sys

HEAD = struct.Struct("<cQI")            # kind, offset, bytes that follow
WRITE, FLUSH, NOTE = b"W", b"F", b"N"


def entries(record):
    """Yields (kind, offset, bytes) for each."""
    with open(record, "rb") as f:
        while head := f.read(HEAD.size):
            kind, offset, length = HEAD.unpack(head)
            yield kind, offset, f.read(length)


def serve(directory, image, record):
    import fusepy

    class Disk(fusepy.Operations):
        def __init__(self):
            self.image = os.open(image, os.O_RDWR)
            self.record = open(record, "wb", buffering=0)

        def add(self, kind, offset=0, data=b""):
            self.record.write(HEAD.pack(kind, offset, len(data)) + data)

        def getattr(self, path, fh=None):
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
            if path == "/disk":
                return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1,
                        "st_size": os.fstat(self.image).st_size}
            if path == "/notes":
                return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": 0}
            raise fusepy.FuseOSError(errno.ENOENT)

        def read(self, path, size, offset, fh):
            return os.pread(self.image, size, offset)

        def write(self, path, data, offset, fh):
            if path == "/notes":
                self.add(NOTE, 0, data)
            else:
                os.pwrite(self.image, data, offset)
                self.add(WRITE, offset, data)
            return len(data)

        def fsync(self, path, datasync, fh):
            self.add(FLUSH)
            return 0

    # Without direct_io the page cache would decide when a write comes.
    fusepy.FUSE(Disk(), directory, foreground=True, nothreads=True, direct_io=True, big_writes=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
