"""Writing newc cpio archives (initramfs images) without root.

cpio(1) would keep the build machine's times and cannot make device nodes for
an ordinary user, so the format is written here: a 110-byte ASCII header, the
name, the data, each padded to four bytes, and a TRAILER!!! entry at the end.
Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat


class Archive:
    def __init__(self, mtime=0):
        self.parts, self.ino, self.mtime = [], 1, mtime
        self.folders = set()

    def entry(self, name, mode, data=b"", *, uid=0, gid=0, rdev=(0, 0), nlink=1, mtime=None):
        name = name.strip("/")
        header = "070701" + "".join("%08X" % field for field in (
            self.ino, mode, uid, gid, nlink, self.mtime if mtime is None else mtime, len(data),
            0, 0, rdev[0], rdev[1], len(name.encode()) + 1, 0))
        self.ino += 1
        head = header.encode() + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name, mode=0o755):
        name = name.strip("/")
        if not name or name in self.folders:
            return
        if "/" in name:
            self.folder(name.rsplit("/", 1)[0])
        self.folders.add(name)
        self.entry(name, stat.S_IFDIR | mode, nlink=2)

    def file(self, name, data, mode=0o755, **more):
        if isinstance(data, str):
            data = data.encode()
        if "/" in name.strip("/"):
            self.folder(name.strip("/").rsplit("/", 1)[0])
        self.entry(name, stat.S_IFREG | mode, data, **more)

    def copy(self, name, path, mode=0o755):
        with open(path, "rb") as source:
            self.file(name, source.read(), mode)

    def symlink(self, name, target):
        if "/" in name.strip("/"):
            self.folder(name.strip("/").rsplit("/", 1)[0])
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, kind, major, minor, mode=0o600):
        if "/" in name.strip("/"):
            self.folder(name.strip("/").rsplit("/", 1)[0])
        bits = stat.S_IFCHR if kind == "c" else stat.S_IFBLK
        self.entry(name, bits | mode, rdev=(major, minor))

    def bytes(self):
        body = list(self.parts)
        ino, self.ino = self.ino, 0
        self.parts = []
        self.entry("TRAILER!!!", 0)
        body += self.parts
        self.parts, self.ino = body[:-len(self.parts)], ino
        blob = b"".join(body)
        return blob + b"\0" * (-len(blob) % 512)
