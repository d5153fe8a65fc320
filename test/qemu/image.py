"""Bootable images for tests: a copy of halcyon.img with some files replaced.

The partition begins at 1 MiB (README); mtools writes into it without root.
"""

import os
import shutil
import subprocess

PARTITION = "@@1M"
VARIANT = "debug"       # whose kernel the rings boot: run.py --variant

BOOT_CONF = """default Test
timeout 0

title   Test
linux   /halcyon/kernel.elf
initrd  /halcyon/initrd.img
options %s
"""


def built(build, leaf):
    """A file of the variant under test: halcyon.img, kernel.elf."""
    return os.path.join(build, leaf) if VARIANT == "release" else os.path.join(build, VARIANT, leaf)


def put(image, name, path):
    """Replace one file of the ESP by the file at `path`."""
    env = dict(os.environ, MTOOLS_SKIP_CHECK="1")
    subprocess.run(["mcopy", "-n", "-o", "-i", image + PARTITION, path, "::" + name], check=True,
                   env=env, stdout=subprocess.DEVNULL)


def remove(image, name):
    subprocess.run(["mdel", "-i", image + PARTITION, "::" + name], check=True,
                   env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))


def make(base, target, *, options=None, initrd=None, boot_conf=None):
    """Copy `base` to `target`, with another command line and another initrd."""
    subprocess.run(["cp", "--sparse=always", base, target], check=True)
    if options is not None:
        boot_conf = BOOT_CONF % options
    if boot_conf is not None:
        conf = target + ".conf"
        with open(conf, "w") as sink:
            sink.write(boot_conf)
        put(target, "/halcyon/boot.conf", conf)
        os.unlink(conf)
    if initrd is not None:
        put(target, "/halcyon/initrd.img", initrd)
    return target


def scratch(build):
    """A folder for images and initrds of tests, empty at the start."""
    folder = os.path.join(build, "test", "scratch.%d" % os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder
