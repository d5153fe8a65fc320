#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot the disk image in QEMU for a person: `make run`, `make debug`, `make attach`. (Tests have test/qemu.)

    qemu.py run    --image IMG [--memory 512M] [--cpus 2] [--append WORDS] [-- more QEMU arguments]
    qemu.py debug  --image IMG --kernel ELF --loader SO [same] [--gdb COMMAND]... [--batch]
    qemu.py attach --build DIR [--stub SOCKET-OR-PORT] [--kernel ELF] [--gdb COMMAND]... [--batch]

run: the serial line is this terminal; every key goes to the guest, Ctrl-C too. Ctrl-] x ends QEMU. gdb's stub is
the socket gdb.sock beside the image.

debug: QEMU waits at its stub, gdb is attached, with the kernel's symbols (nokaslr is added, so they are
where they were linked) and the loader's. Where the firmware will put the loader is found by a first,
quick boot of the same machine: the loader prints its address, and the same firmware does the same thing
twice. The guest's serial line is the socket BUILD/debug/serial.sock, and is logged beside it.

attach: gdb on a machine that runs already: the one of `make run` started last, of any variant, or that at --stub. The machine
stops; it goes on when gdb lets it, or ends. The symbols follow KASLR.

Both load the hx- commands (tools/gdb, docs/debugging.md).

Hardware virtualisation is used where it works, otherwise TCG. A software TPM is attached when swtpm is
there: OVMF spends two seconds polling for one that is not. The image is never written to.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

OVMF = ["/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd", "/usr/share/OVMF/OVMF.fd"]
OVMF_CODE = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"]
STUB = "gdb.sock"
SOCKET_PATH_MAX = 107       # unix(7): sun_path, with its NUL
LOADER_LINE = re.compile(rb"Halcyon loader, image at ([0-9a-f]+)")


def fail(text):
    sys.exit(f"qemu.py: {text}")


def firmware_arguments():
    for path in OVMF:
        if os.path.exists(path):
            return ["-bios", path]
    for path in OVMF_CODE:
        if os.path.exists(path):
            return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={path}"]
    fail("no OVMF firmware: install the package ovmf")


def acceleration():
    """KVM only where the CPU has it: the presence of /dev/kvm proves nothing."""
    try:
        with open("/proc/cpuinfo") as f:
            capable = re.search(r"^flags\s*:.*\b(vmx|svm)\b", f.read(), re.M)
        with open("/dev/kvm", "rb+", buffering=0):
            pass
    except OSError:
        capable = None
    return ["-accel", "kvm"] if capable else ["-accel", "tcg,thread=multi"]


class Machine:
    """What all boots of one call share: a folder, the image with its command line, a TPM."""

    def __init__(self, args):
        self.args = args
        self.folder = tempfile.mkdtemp(prefix="halcyon-")
        self.children = []
        self.image = self.prepare_image()

    def prepare_image(self):
        """The image, or a sparse copy with more words on the command line."""
        if not self.args.append:
            return self.args.image
        copy = os.path.join(self.folder, "halcyon.img")
        subprocess.run(["cp", "--sparse=always", self.args.image, copy], check=True)
        partition = f"{copy}@@1M"
        conf = subprocess.run(["mtype", "-i", partition, "::/halcyon/boot.conf"], check=True, capture_output=True,
                              text=True).stdout
        conf = re.sub(r"(?m)^(options\s.*)$", lambda m: f"{m[1].rstrip()} {self.args.append}", conf)
        path = os.path.join(self.folder, "boot.conf")
        with open(path, "w") as f:
            f.write(conf)
        subprocess.run(["mcopy", "-o", "-i", partition, path, "::/halcyon/boot.conf"], check=True)
        return copy

    def tpm_arguments(self):
        if not shutil.which("swtpm"):
            return []
        state, sock = os.path.join(self.folder, "tpm"), os.path.join(self.folder, "tpm.sock")
        os.makedirs(state, exist_ok=True)
        self.children.append(subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={sock}",
             "--flags", "startup-clear", "--terminate"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        for _ in range(100):
            if os.path.exists(sock):
                return ["-chardev", f"socket,id=tpm,path={sock}", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                        "-device", "tpm-crb,tpmdev=tpm0"]
            time.sleep(0.02)
        return []

    def command(self, accel, *more):
        return ["qemu-system-x86_64", "-machine", "q35", *accel, "-nodefaults", "-no-reboot", "-cpu",
                "host" if "kvm" in accel else "max", "-m", self.args.memory, "-smp", self.args.cpus,
                *firmware_arguments(), *self.tpm_arguments(),
                "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={self.image}",
                "-device", "virtio-blk-pci,drive=disk,bootindex=0", *more, *self.args.qemu]

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def stub_arguments(image):
    """A stub for `make attach` beside the image. A folder where no socket can be made gets none."""
    path = os.path.abspath(os.path.join(os.path.dirname(image) or ".", STUB))
    if len(path) > SOCKET_PATH_MAX or not os.access(os.path.dirname(path), os.W_OK):
        print(f"(no stub for `make attach`: {path} cannot be a socket)")
        return []
    return ["-gdb", f"unix:{path},server=on,wait=off"]


def run(machine):
    print("Halcyon in QEMU. Every key goes to the guest; `poweroff` there, or Ctrl-] x here, ends it.", flush=True)
    command = machine.command(
        acceleration(), "-display", "none", "-echr", "0x1d", "-chardev", "stdio,id=tty,mux=on,signal=off",
        "-serial", "chardev:tty", "-mon", "chardev=tty", *stub_arguments(machine.args.image))
    return subprocess.run(command).returncode


def find_loader(machine):
    """Boot until the loader says where it is."""
    command = machine.command(["-accel", "tcg"], "-display", "none", "-serial", "stdio")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        chunk = os.read(process.stdout.fileno(), 4096)
        seen += chunk
        match = LOADER_LINE.search(seen)
        if not chunk or (match and match.end() < len(seen)):
            break
    process.kill()
    process.wait()
    if not match:
        fail("the loader did not start in the first boot:\n" + seen.decode(errors="replace"))
    return int(match[1], 16)


GDB_COMMON = """
set pagination off
set confirm off
set architecture i386:x86-64
set $hx_build = "{build}"
set $hx_kernel = "{kernel}"
source {helpers}
"""
GDB_DEBUG = GDB_COMMON + """
file {kernel}
add-symbol-file {loader} -o {base:#x}
target remote {stub}
hx-symbols
hbreak efi_main
hbreak kernel_entry
echo \\nThe machine stands at its reset vector. `continue` runs to the loader, again to the kernel.\\n
echo Serial line: {serial} (for example: socat -,rawer UNIX-CONNECT:{serial})\\n
"""
GDB_ATTACH = GDB_COMMON + """
target remote {stub}
hx-symbols
"""
GDB_LAST = """
echo `apropos ^hx-` lists the helpers.\\n
set confirm on
set pagination on
"""


def take_terminal():
    """In the child: a process group of its own, in the terminal's foreground. Ctrl-C is gdb's alone, who stops the guest with it."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def run_in_foreground(argv):
    if not os.isatty(0):
        return subprocess.run(argv).returncode
    status = subprocess.Popen(argv, preexec_fn=take_terminal).wait()
    old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, old)
    return status


def start_gdb(args, folder, text, **values):
    script = os.path.join(folder, "commands.gdb")
    values.update(build=os.path.abspath(args.build), kernel=os.path.abspath(args.kernel),
                  helpers=os.path.join(os.path.dirname(os.path.abspath(__file__)), "gdb", "halcyon.py"))
    with open(script, "w") as f:
        f.write((text + ("" if args.batch else GDB_LAST)).format(**values))
    more = [word for argument in args.gdb for word in ("-ex", argument)]
    return run_in_foreground(["gdb", "-q", *(["-nx", "-batch"] if args.batch else []), "-x", script, *more])


def debug(machine):
    args = machine.args
    base = find_loader(machine)
    stub, serial = (os.path.join(machine.folder, "gdb"), os.path.join(os.path.dirname(args.image) or ".", "serial.sock"))
    if os.path.exists(serial):
        os.unlink(serial)
    command = machine.command(
        ["-accel", "tcg"], "-display", "none", "-S", "-gdb", f"unix:{stub},server=on,wait=off", "-chardev",
        f"socket,id=tty,path={serial},server=on,wait=off,logfile={serial[:-5]}.log", "-serial", "chardev:tty")
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    machine.children.append(qemu)
    while not os.path.exists(stub) and qemu.poll() is None:
        time.sleep(0.02)
    return start_gdb(args, machine.folder, GDB_DEBUG, loader=args.loader, base=base, stub=stub, serial=serial)


# ---- attach --------------------------------------------------------------------------------------

def listening(path):
    """Is somebody behind that socket? (Connecting would stop the machine.)"""
    with open("/proc/net/unix") as table:
        return any(line.rstrip("\n").endswith(" " + path) for line in table)


def running_stub(build):
    """(socket, kernel.elf) of the machine that was started last from this build folder."""
    found = []
    for variant in ("", "debug", "check", "coverage"):
        folder = os.path.abspath(os.path.join(build, variant))
        path = os.path.join(folder, STUB)
        if os.path.exists(path) and listening(path):
            found.append((os.stat(path).st_mtime, path, os.path.join(folder, "kernel.elf")))
    if not found:
        fail(f"no machine runs from {build}: start one with `make run` (VARIANT=debug for the debug kernel), in another terminal")
    return max(found)[1:]


def attach(args):
    if args.stub:
        stub, kernel = args.stub, args.kernel or os.path.join(args.build, "kernel.elf")
    else:
        stub, kernel = running_stub(args.build)
        kernel = args.kernel or kernel
    if not os.path.exists(kernel):
        fail(f"there is no {kernel}")
    args.kernel = kernel
    with tempfile.TemporaryDirectory(prefix="halcyon-") as folder:
        return start_gdb(args, folder, GDB_ATTACH, stub=stub)


def main():
    words = sys.argv[1:]
    qemu = words[words.index("--") + 1:] if "--" in words else []
    words = words[:words.index("--")] if "--" in words else words
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["run", "debug", "attach"])
    parser.add_argument("--image")
    parser.add_argument("--build", default="build")
    parser.add_argument("--stub", help="attach: a socket, or HOST:PORT")
    parser.add_argument("--kernel")
    parser.add_argument("--loader")
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--cpus", default="2")
    parser.add_argument("--append", default="")
    parser.add_argument("--gdb", action="append", default=[], help="a command for gdb after attaching")
    parser.add_argument("--batch", action="store_true", help="end gdb after its commands")
    args = parser.parse_args(words)
    args.qemu = qemu
    if args.mode == "attach":
        sys.exit(attach(args))
    if not args.image:
        parser.error("--image is needed")
    if args.mode == "debug":
        args.append = f"nokaslr {args.append}".strip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = Machine(args)
    try:
        status = {"run": run, "debug": debug}[args.mode](machine)
    except KeyboardInterrupt:
        status = 130
    finally:
        machine.close()
    sys.exit(status)


main()
