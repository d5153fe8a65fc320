"""Cases of the machine ring about PCI and virtio.

lspci is Debian's own program with its libraries. What it prints on Halcyon must be what it prints on Debian's Linux in the
same machine under the same firmware, but for what a driver of Linux's changed in a device (EXPECTED_DIFFERENCES says what).
The same for the files that programs read in /sys. Then the virtio-rng device, by message and by line, with the driver
unbound, the device removed and found again, and readers in between.
"""

import os
import re
import subprocess

import image
import initrd
import machine
import oracle

LSPCI = "/usr/bin/lspci"
REBOOT_STATUS = machine.REBOOT_STATUS
# What one could plug in: bridges of every kind with something behind them, and devices with few and many capabilities.
Q35 = ("-device", "pcie-root-port,id=rp1,chassis=1,io-reserve=0", "-device", "virtio-rng-pci,bus=rp1",
       "-device", "pcie-root-port,id=rp2,chassis=2,io-reserve=0,multifunction=on,addr=5.0", "-device",
       "pcie-root-port,id=rp3,chassis=3,io-reserve=0,addr=5.1", "-device", "x3130-upstream,bus=rp3,id=up", "-device",
       "xio3130-downstream,bus=up,id=down,chassis=4,hotplug=off", "-device", "edu,bus=down",
       "-device", "nvme,serial=1,bus=rp2", "-device", "VGA", "-device", "virtio-rng-pci,addr=10.0")
PC = ("-device", "pci-bridge,id=br1,chassis_nr=1,addr=6.0", "-device", "edu,bus=br1,addr=3.0", "-device", "pci-bridge,id=br2,"
      "chassis_nr=2,bus=br1,addr=4.0", "-device", "virtio-rng-pci,bus=br2,addr=1.0", "-device", "piix3-usb-uhci")
MACHINES = {"q35": Q35, "pc": PC}
# Firmware opened no window for ports that nothing wants; Linux would, for what may be plugged in later.
APPEND = oracle.APPEND + " pci=hpiosize=0"
# Halcyon's boot disk for Linux, which boots by -kernel: QEMU then lets no disk be the first to boot from.
DISK = ("-drive", "if=none,id=disk0,format=raw,snapshot=on,file=" + machine.OVMF, "-device", "virtio-blk-pci,drive=disk0")

ATTRIBUTES = ("class device vendor subsystem_vendor subsystem_device revision modalias local_cpus local_cpulist numa_node "
              "ari_enabled broken_parity_status msi_bus consistent_dma_mask_bits dma_mask_bits secondary_bus_number "
              "subordinate_bus_number max_link_speed max_link_width current_link_speed current_link_width boot_vga resource")

SCRIPT = """#!/bin/sh
export PATH=/bin:/usr/bin
mount -t devtmpfs dev /dev 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
exec >/dev/console 2>/dev/null
echo "@@ short"; lspci -n
echo "@@ tree"; lspci -tn
echo "@@ ports"; lspci -n -A linux-proc
echo "@@ long"; lspci -vvvnn
echo "@@ bytes"; lspci -nx
echo "@@ setpci"; setpci -s 00:00.0 VENDOR_ID DEVICE_ID.w 8.l CAP_EXP.w
echo "@@ user"; su -s /bin/sh user -c "lspci -nxxx"
echo "@@ files"
cd /sys/bus/pci/devices
for d in *; do
  for a in %s; do test -e $d/$a && echo "$d $a $(cat $d/$a | tr '\\n' ' ')"; done
  echo "$d $(ls -ld $d/config | tr -s ' ' | cut -d' ' -f1,5) $(grep -v DRIVER $d/uevent | tr '\\n' ' ') $(readlink $d)"
done
echo "@@ class"; for b in /sys/class/pci_bus/*; do echo "$(basename $b) $(readlink $b)"; done
echo "@@ proc"; cut -f1,2,4-17 /proc/bus/pci/devices; ls -l /proc/bus/pci/00 | tr -s ' ' | cut -d' ' -f1,5,9-
echo "@@ end"
exec busybox reboot -f
""" % ATTRIBUTES

# Each: a pattern, and what stands for it. Linux's built-in drivers for bridges take an interrupt, report errors and name
# slots; Halcyon's virtio driver takes interrupts.
EXPECTED_DIFFERENCES = [
    (r"DisINTx[+-]", "DisINTx"), (r"routed to IRQ \d+", "routed"), (r"(MSI|MSI-X): Enable[+-]", r"\1:"),
    (r"\tAddress: [0-9a-f]+  Data: [0-9a-f]+", "\tAddress"), (r"\t+Masking: .*\n", ""),
    (r"\tInterrupt: pin \? .*\n", ""), (r"behind bridge: \S+ \[disabled\]", "behind bridge: closed"),
    (r"\t(Kernel driver in use|Kernel modules|Physical Slot): .*\n", ""), (r"BridgeCtl: (.*)SERR[+-]", r"BridgeCtl: \1SERR"),
    (r"DevCtl:\tCorrErr[+-] NonFatalErr[+-] FatalErr[+-] UnsupReq[+-]", "DevCtl:"),
    (r"(RootCmd|RootCtl|SltCtl|LnkCtl):.*", r"\1"), (r"\t\t\tControl: AttnInd .*", "\t\t\tControl: AttnInd"),
    (r"(DevSta|SltSta|UESta|CESta|RootSta|CEMsk|UEMsk):.*", r"\1"), (r"\t\t\tChanged: .*", "\t\t\tChanged"),
    (r"\tLatency: 0, Cache Line Size: \d+ bytes", "\tLatency: 0"), (r"(Control: .*)(SERR|ParErr)[+-]", r"\1\2"),
]
# Lines of hexadecimal bytes that hold the command register, latency, interrupt line, and the upper half of a closed window.
BYTES = [(r"^(20: (?:.. ){8})ff ff ff ff 00 00 00 00", r"\g<1>00 00 00 00 00 00 00 00"),
         (r"^(00: .. .. .. ..) .. ..", r"\1 cm cm"), (r"^(30: .*) .. (..) .. ..$", r"\1 li \2 br br")]


def libraries(program):
    """The files that a dynamic program needs, its interpreter with them."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", said)))


def with_lspci(archive):
    archive.shells()
    archive.folder("sys")
    archive.copy("usr/bin/lspci", LSPCI)
    archive.copy("usr/bin/setpci", "/usr/bin/setpci")
    for path in libraries(LSPCI):
        archive.copy(path.lstrip("/"), os.path.realpath(path))


def dump_initrd(archive):
    with_lspci(archive)
    archive.file("init", SCRIPT, 0o755)


def sections(text):
    parts = re.split(r"@@ (\w+)\n", text.replace("\r", ""))
    return dict(zip(parts[1::2], parts[2::2]))


def linux_says(path, kind):
    """What the initrd prints on Debian's Linux, booted by the same firmware from the same devices."""
    with open(path, "rb") as source:
        key = oracle.key("pci", oracle.release(), source.read(), MACHINES[kind], kind, APPEND)
    text = oracle.cached(key)
    if text is None:
        with machine.Machine(kernel=oracle.kernel(), initrd=path, append=APPEND, cpus=2, board=kind,
                             extra=("-bios", machine.OVMF) + DISK + MACHINES[kind], name="linux") as m:
            m.wait(100)
            text = m.serial.text()
        if "@@ end" in text:
            oracle.store(key, text)
    return sections(text)


def same_text(ctx, what, linux, halcyon, patterns):
    for pattern, instead in patterns:
        linux, halcyon = (re.sub(pattern, instead, t, flags=re.M) for t in (linux, halcyon))
    a, b = linux.splitlines(), halcyon.splitlines()
    if a != b:
        only = [("-" + x) for x in a if x not in b][:12] + [("+" + x) for x in b if x not in a][:12]
        raise AssertionError("%s differs from Linux (- Linux, + Halcyon):\n%s" % (what, "\n".join(only)))
    if len(a) < 3:
        raise AssertionError("%s: nothing was printed" % what)
    ctx.point(what)


def lspci_like_linux(kind):
    def case(ctx):
        path = ctx.initrd(dump_initrd)
        linux = linux_says(path, kind)
        m = ctx.boot(ctx.image(initrd=path, options="console=ttyS0 qemu-exit quiet"), board=kind, extra=MACHINES[kind], cpus=2)
        if m.wait(90) != REBOOT_STATUS:
            raise AssertionError("exit status")
        halcyon = sections(m.serial.text())
        for part, what, patterns in (
                ("short", "lspci -n", []), ("tree", "lspci -tn", []), ("ports", "lspci -A linux-proc", []),
                ("long", "lspci -vvvnn", EXPECTED_DIFFERENCES), ("bytes", "lspci -x", BYTES), ("setpci", "setpci", []),
                ("user", "lspci of a user without rights", BYTES),
                ("files", "the files of /sys", [(r"dma_mask_bits 64", "dma_mask_bits 32")]),
                ("class", "/sys/class/pci_bus", []), ("proc", "/proc/bus/pci", [])):
            same_text(ctx, what, linux.get(part, ""), halcyon.get(part, ""), patterns)
    return case


# ---- virtio-rng -----------------------------------------------------------------------------

RNG = "/sys/class/misc/hw_random/"


def bytes_of_rng(s, n):
    """Two portions of n bytes, which are whole and differ."""
    s.expect_output("for i in 1 2; do dd if=/dev/hwrng bs=%d count=1 iflag=fullblock 2>/dev/null | md5sum; done | sort -u | wc -l;"
                    "dd if=/dev/hwrng bs=%d count=1 2>/dev/null | wc -c" % (n, n), r"^2\s+%d$" % n)


def remove_and_find_again(ctx, s, device):
    s.expect_output("echo 1 > /sys/bus/pci/devices/%s/remove; test -e /sys/bus/pci/devices/%s || echo g''one" % (device, device), r"^gone")
    s.expect_output("cat %srng_current; ls /sys/bus/virtio/devices /sys/bus/virtio/drivers/virtio_rng" % RNG, r"^none")
    s.expect_output("dd if=/dev/hwrng bs=1 count=1; lspci -n -s %s | wc -l" % device[5:], r"No such device.*^0$")
    s.expect_output("echo 1 > /sys/bus/pci/rescan; cat %srng_current" % RNG, r"^virtio_rng\.0$")
    bytes_of_rng(s, 100)
    ctx.point("removed, and found again")


def unbind_and_bind(ctx, s, device):
    s.expect_output("cd /sys/bus/pci/drivers/virtio-pci; echo %s > unbind; cat %srng_current; ls -d /sys/bus/pci/devices/%s/driver; "
                    "echo nonsense > bind; echo %s > bind; cat %srng_current; cd /" % (device, RNG, device, device, RNG),
                    r"^none.*No such file.*No such device.*virtio_rng\.0$")
    bytes_of_rng(s, 100)
    ctx.point("unbound and bound")


def rng_under_fire(ctx, s, device):
    """The device goes and comes while programs read it and look at its files."""
    s.expect_output(
        "for i in 1 2 3; do (while test ! -e /tmp/done; do dd if=/dev/hwrng of=/dev/null bs=512 count=4 2>/dev/null; done) & done;"
        "(while test ! -e /tmp/done; do cat /sys/bus/pci/devices/*/uevent /sys/bus/virtio/devices/*/status %srng_*"
        " > /dev/null 2>&1; find /sys/devices/pci* > /dev/null 2>&1; done) &"
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo 1 > /sys/bus/pci/devices/%s/remove; echo 1 > /sys/bus/pci/rescan; done;"
        "touch /tmp/done; wait; rm /tmp/done; cat %srng_current" % (RNG, device, RNG), r"^virtio_rng\.0\s*$", 90)
    bytes_of_rng(s, 100)
    ctx.point("removed and found again under its readers")


def virtio_rng(options, interrupts, kind):
    def case(ctx):
        path = ctx.initrd(lambda archive: (with_lspci(archive), archive.copy("init", os.path.join(ctx.build, "userland", "init"))))
        s = ctx.prompt(ctx.image(initrd=path), board=kind, cpus=4,
                       extra=("-device", "virtio-rng-pci,addr=0x1e.0" + options if kind == "pc" else
                              "virtio-rng-pci,addr=0x10.0" + options))
        s.run("mkdir -p /sys; mount -t sysfs sysfs /sys")
        device = "0000:00:1e.0" if kind == "pc" else "0000:00:10.0"
        s.expect_output("cat %srng_current %srng_available %srng_quality %srng_selected %sdev" % ((RNG,) * 5),
                        r"^virtio_rng\.0\s+virtio_rng\.0\s+1000\s+0\s+10:183$")
        s.expect_output("stat -c '%F %t %T %a' /dev/hwrng; cat /sys/dev/char/10:183/dev", r"^character special file a b7 600\s+10:183$")
        s.expect_output("readlink -f /sys/bus/virtio/drivers/virtio_rng/virtio*", r"/sys/devices/pci0000:00/%s/virtio\d$" % device)
        bytes_of_rng(s, 5000)
        ctx.point("/dev/hwrng")
        s.expect_output("grep virtio /proc/interrupts", interrupts)
        s.expect_output("cat /proc/halcyon/random", r"^credited_bits (25[6-9]|2[6-9]\d|[3-9]\d\d|\d{4,})$")
        ctx.point("interrupts, and credit for the kernel's own generator")
        s.expect_output("echo > /dev/hwrng; dd if=/dev/hwrng of=/dev/null bs=1 count=0 && echo opens", r"Invalid argument.*^opens")
        s.expect_output("echo wrong > %srng_current; echo virtio_rng.0 > %srng_current; cat %srng_selected" % ((RNG,) * 3),
                        r"Invalid argument\s+1$")
        remove_and_find_again(ctx, s, device)
        unbind_and_bind(ctx, s, device)
        rng_under_fire(ctx, s, device)
        s.type("reboot -f\n")
        status = s.machine.wait(20)
        if status != REBOOT_STATUS and status != 0:
            raise AssertionError("exit status %d: leaks?" % status)
        ctx.point("nothing is left behind")
    return case


def bridge_goes(ctx):
    """A bridge takes what is behind it along, drivers and all, and brings it back."""
    path = ctx.initrd(lambda archive: (with_lspci(archive), archive.copy("init", os.path.join(ctx.build, "userland", "init"))))
    s = ctx.prompt(ctx.image(initrd=path), cpus=2, extra=(
        "-device", "pcie-root-port,id=rp,chassis=1,addr=7.0", "-device", "x3130-upstream,bus=rp,id=up",
        "-device", "xio3130-downstream,bus=up,id=down,chassis=2", "-device", "virtio-rng-pci,bus=down"))
    s.run("show() { lspci -tn; ls /sys/class/pci_bus; cut -f1-2,4-17 /proc/bus/pci/devices | sort; }; show > /tmp/before")
    s.expect_output("cat %srng_current; ls /sys/class/pci_bus | wc -l" % RNG, r"^virtio_rng\.0\s+4$")
    for turn in range(3):
        s.expect_output("echo 1 > /sys/bus/pci/devices/0000:00:07.0/remove; cat %srng_current; ls /sys/class/pci_bus; "
                        "ls -d /sys/devices/pci0000:00/0000:00:07.0" % RNG, r"^none\s+0000:00\s+.*No such file")
        s.expect_output("echo 1 > /sys/bus/pci/rescan; show | diff /tmp/before - && echo turn $((%d + 0)) sa''me" % turn,
                        r"^turn %d same" % turn)
        bytes_of_rng(s, 100)
    ctx.point("a root port, a switch and a driver's device, three times")
    s.type("reboot -f\n")
    if s.machine.wait(20) not in (REBOOT_STATUS, 0):
        raise AssertionError("leaks")


CASES = [
    ("lspci as on Linux: q35", lspci_like_linux("q35")),
    ("lspci as on Linux: pc", lspci_like_linux("pc")),
    ("a bridge goes", bridge_goes),
    ("virtio-rng by messages", virtio_rng("", r"PCI-MSI.*virtio\d", "q35")),
    ("virtio-rng by its line", virtio_rng(",vectors=0", r"IO-APIC.*virtio\d", "pc")),
]
