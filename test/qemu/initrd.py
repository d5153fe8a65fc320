"""Initial RAM disks for tests, written by the tree's own initrd/mkinitrd.py.

mkinitrd's archive says exactly what it holds; here parents are made as they
are needed, which is what a test wants.
"""

import os
import stat
import sys

from oracle import TOP

sys.path.insert(0, os.path.join(TOP, "initrd"))
import mkinitrd  # noqa: E402  (the path is set above)

BUSYBOX = "/bin/busybox"
BASH = "/bin/bash-static"


class Initrd(mkinitrd.Newc):
    def __init__(self):
        super().__init__(0)

    def folder(self, name, mode=0o755):
        name = name.strip("/")
        if name and name not in self.links:
            self.folder(os.path.dirname(name))
            self.add(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        self.folder(os.path.dirname(name))
        self.add(name, stat.S_IFREG | mode, data=data.encode() if isinstance(data, str) else data)

    def copy(self, name, path, mode=0o755):
        with open(path, "rb") as source:
            self.file(name, source.read(), mode)

    def symlink(self, name, target):
        self.folder(os.path.dirname(name))
        self.add(name, stat.S_IFLNK | 0o777, data=os.fsencode(target))

    def shells(self):
        """busybox with a link for each applet, and bash."""
        self.copy("bin/busybox", BUSYBOX)
        self.copy("bin/bash", BASH)
        for folder in ("sbin", "usr/bin", "usr/sbin", "etc", "root", "dev", "proc", "tmp"):
            self.folder(folder)
        mkinitrd.add_applets(self, "/", BUSYBOX)
        self.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                "user:x:1000:1000:user:/tmp:/bin/sh\n")
        self.file("etc/group", "root:x:0:\nuser:x:1000:\n")

    def write(self, path):
        self.finish()
        with open(path, "wb") as sink:
            sink.write(self.output())
        return path
