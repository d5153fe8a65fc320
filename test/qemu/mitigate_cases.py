"""Cases of ring machine: page-table isolation as the CPU sees it, and what is said of the CPU's bugs.

QEMU's monitor translates addresses with the page tables that a CPU has loaded, so it can tell what a program
could reach there: that is what isolation is about, whether or not the emulated CPU leaks.
"""

import re

INTEL = "max,vendor=GenuineIntel,family=6,model=94,level=0x16"
ENTRY_AREA = 0xfffffe0000000000
STRIDE, DATA, PRIVATE, TEXT_END = 0x10000, 0x5000, 0x6000, 0x2000
USER_ROOT = 0x1000
NMIS_BETWEEN = 4
SAMPLES = 40


def need(good, what):
    if not good:
        raise AssertionError(what)


def cpus_of(m):
    """What each CPU has loaded, of a machine that is stopped."""
    text = m.monitor("info registers -a").replace("\r", "")
    found = []
    for part in re.split(r"CPU#\d+\n", text)[1:]:
        found.append({
            "cpl": int(re.search(r"CPL=(\d)", part).group(1)),
            "cr3": int(re.search(r"CR3=([0-9a-f]+)", part).group(1), 16),
            "cr4": int(re.search(r"CR4=([0-9a-f]+)", part).group(1), 16),
            "rip": int(re.search(r"RIP=([0-9a-f]+)", part).group(1), 16),
            "idt": int(re.search(r"IDT= +([0-9a-f]+)", part).group(1), 16),
            "gdt": int(re.search(r"GDT= +([0-9a-f]+)", part).group(1), 16),
        })
    return found


def words_at(m, cpu, address, count):
    """Words of memory as that CPU's page tables lead to them; None where they do not."""
    text = m.qmp("human-monitor-command", **{"command-line": "x /%dgx 0x%x" % (count, address), "cpu-index": cpu})
    if "Cannot access memory" in text:
        return None
    return [int(word, 16) for word in re.findall(r"0x([0-9a-f]{16})", text)]


def look(m, cpu, c, kernel, seen):
    """One CPU of a stopped machine."""
    area = ENTRY_AREA + cpu * STRIDE
    need(c["idt"] & -STRIDE == area and c["gdt"] & -STRIDE == area, "CPU %d: IDT and GDT in its entry area" % cpu)
    need(not c["cr4"] & 0x80, "CPU %d: no global pages" % cpu)
    if c["cpl"] == 3:
        need(c["cr3"] & USER_ROOT, "CPU %d: user mode runs on the user's root" % cpu)
        need(words_at(m, cpu, kernel, 1) is None, "CPU %d: the kernel is not mapped in user mode" % cpu)
        need(words_at(m, cpu, area + PRIVATE, 1) is None, "CPU %d: nor its addresses" % cpu)
        need(words_at(m, cpu, area, 1) is not None, "CPU %d: the entry code is" % cpu)
        data = words_at(m, cpu, area + DATA, 512)
        need(data is not None and not [w for w in data if kernel <= w < kernel + (32 << 20)],
             "CPU %d: no address of the kernel where user mode can look" % cpu)
        seen.add("user")
    elif not area <= c["rip"] < area + TEXT_END:
        need(not c["cr3"] & USER_ROOT, "CPU %d: the kernel runs on its own root" % cpu)
        need(words_at(m, cpu, kernel, 1) is not None, "CPU %d: the kernel is mapped in the kernel" % cpu)
        seen.add("kernel")


def isolation(ctx):
    s = ctx.prompt(cpu=INTEL, cpus=2)
    m = s.machine
    kernel = int(re.search(r"loader: kernel at ([0-9a-f]{16})", m.serial.text()).group(1), 16)
    s.run("mkdir -p /sys; mount -t sysfs sysfs /sys")
    s.expect_output("cat /sys/devices/system/cpu/vulnerabilities/meltdown", r"^Mitigation: PTI$")
    s.run("(while :; do :; done) & dd if=/dev/zero of=/dev/null bs=1 2>/dev/null & true")
    # NMIs wherever they hit: user mode, the kernel, and the few instructions of the entry area between the two.
    seen = set()
    for _ in range(SAMPLES):
        for _ in range(NMIS_BETWEEN):
            m.qmp("inject-nmi")
            s.settle(0.002)
        m.qmp("stop")
        for cpu, c in enumerate(cpus_of(m)):
            look(m, cpu, c, kernel, seen)
        m.qmp("cont")
    need(seen == {"user", "kernel"}, "saw only %s" % seen)
    ctx.point("page tables of user mode and of the kernel")
    s.expect_output("grep NMI: /proc/interrupts", r"NMI: +[1-9]\d+")
    s.run("kill %1 %2")
    s.expect_output("echo still $((6 * 7))", r"^still 42$")


def scripted(text):
    def fill(archive):
        archive.shells()
        archive.file("init", "#!/bin/sh\nmount -t proc proc /proc\nmount -t sysfs sysfs /sys\n" + text, 0o755)
        archive.folder("sys")
    return fill


SAY = ("cd /sys/devices/system/cpu/vulnerabilities\nfor f in meltdown mds l1tf spectre_v2 mmio_stale_data; do\n"
       "echo \"$f: $(cat $f)\"\ndone\necho \"online: $(cat ../online)\"\ngrep ^bugs /proc/cpuinfo\n"
       "dmesg | grep -c 'page-table isolation is on'\nexec reboot -f\n")
TRIED = "Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown"
OLD_BUGS = ("cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs itlb_multihit %s bhi its")


def said(ctx, cpu, options, shape=None, **wanted):
    disk = ctx.image(initrd=ctx.initrd(scripted(SAY)), options="console=ttyS0 qemu-exit quiet " + options)
    m = ctx.boot(disk, cpu=cpu, **(shape or {"cpus": 1}))
    need(m.wait(60) == 33, "%s %s: exit status" % (cpu, options))
    text = m.serial.text().replace("\r", "")
    for name, words in wanted.items():
        line = "bugs\t\t: " + words if name == "bugs" else words if name == "on" else "%s: %s" % (name, words)
        need("\n%s\n" % line in text, "%s %s: %s is not %r" % (cpu, options, name, words))
    ctx.point("%s %s" % (cpu.split(",")[-2] if "," in cpu else cpu, options))


def command_line(ctx):
    """What Linux 6.1 says on the same CPU with the same words."""
    said(ctx, INTEL, "nopti", meltdown="Vulnerable", mds=TRIED, on="0")
    said(ctx, INTEL, "mitigations=off", meltdown="Vulnerable", mds="Vulnerable; SMT Host state unknown", on="0",
         spectre_v2="Vulnerable; STIBP: disabled; PBRSB-eIBRS: Not affected; BHI: Vulnerable")
    said(ctx, "Nehalem", "", meltdown="Mitigation: PTI", mds=TRIED, l1tf="Mitigation: PTE Inversion", on="1",
         mmio_stale_data="Unknown: No mitigations", bugs=OLD_BUGS % "mmio_unknown")
    said(ctx, "Haswell", "pti=auto", meltdown="Mitigation: PTI", on="1", bugs=OLD_BUGS % "srbds mmio_unknown",
         spectre_v2="Mitigation: Retpolines; STIBP: disabled; RSB filling; PBRSB-eIBRS: Not affected; BHI: Retpoline")
    said(ctx, "Haswell", "mitigations=auto,nosmt", {"cpus": 4, "smp": "4,sockets=1,cores=2,threads=2"},
         meltdown="Mitigation: PTI", online="0-1")
    said(ctx, "EPYC", "", meltdown="Not affected", mds="Not affected", on="0",
         bugs="fxsave_leak sysret_ss_attrs null_seg spectre_v1 spectre_v2 spec_store_bypass retbleed smt_rsb srso div0")
    said(ctx, "qemu64", "pti=on", meltdown="Not affected", on="1")


CASES = [
    ("page-table isolation", isolation),
    ("mitigations on the command line", command_line),
]
