"""Cases of the machine ring about time: which counter the clock is read from, and that it goes on when that changes."""

import time

WORDS = "console=ttyS0 quiet qemu-exit "
FILES = "/sys/devices/system/clocksource/clocksource0/"
# Prints how often the seconds since boot went back over some hundred looks, while the source changes.
LOOKS = "a=0; bad=0; for i in $(seq 100); do read b rest < /proc/uptime; b=${b%.*}${b#*.}; " \
        "[ $b -lt $a ] && bad=$((bad + 1)); a=$b; done; echo went back: $bad"


def need(good, what):
    if not good:
        raise AssertionError(what)


def boot(ctx, words, **shape):
    s = ctx.prompt(ctx.image(options=WORDS + words), **shape)
    s.expect_output("mkdir -p /sys; mount -t sysfs sysfs /sys; cd %s; ls -1" % FILES, r"^current_clocksource$")
    return s


def sources(ctx):
    """clocksource=, and every change by hand."""
    s = boot(ctx, "clocksource=hpet", cpus=2)
    s.expect_output("cat current_clocksource", r"^hpet$")
    s.expect_output("cat available_clocksource", r"^tsc hpet acpi_pm $")
    ctx.point("clocksource= is obeyed")
    for name in ("acpi_pm", "tsc", "hpet", "tsc", "acpi_pm"):
        s.expect_output("echo %s > current_clocksource; cat current_clocksource" % name, "^%s$" % name)
        s.expect_output(LOOKS, r"^went back: 0$")
    s.expect_output("echo sundial > current_clocksource; cat current_clocksource", r"^acpi_pm$")
    s.expect_output("a=$(date +%s); sleep 2; b=$(date +%s); [ $((b - a)) -ge 2 ] && [ $((b - a)) -le 9 ] && echo right", r"^right$")
    ctx.point("time goes on from counter to counter")
    s.type("poweroff -f\n")
    s.machine.wait(20)


def unstable(ctx):
    """No TSC to trust and no HPET: the PM timer, which wraps in 4.7 seconds, while the machine idles longer than that."""
    s = boot(ctx, "tsc=unstable", machine_opts=",hpet=off")
    s.expect_output("cat current_clocksource", r"^acpi_pm$")
    s.expect_output("cat available_clocksource", r"^acpi_pm $")
    s.expect_output("echo tsc > current_clocksource; cat current_clocksource", r"^acpi_pm$")
    # Without an HPET the PIT counts, and never for longer than 55 ms: it takes many to make ten seconds.
    s.expect_output("dmesg | grep 'NMIs from'", r"NMIs from the PIT .* is named after 10\d\d\d ms")
    # Between the two looks at the guest's clock at least `least` passed here, and at most `most`, however busy this machine is.
    times = []
    for command in ("cat /proc/uptime", "sleep 6", "cat /proc/uptime"):
        begun = time.monotonic()
        output, _ = s.run(command, 60)
        times.append((begun, time.monotonic(), output))
    passed = float(times[2][2].split()[0]) - float(times[0][2].split()[0])
    least, most = times[2][0] - times[0][1] - 0.1, times[2][1] - times[0][0] + 0.1
    need(6 <= passed and least <= passed <= most, "by a counter that wraps %.2f s passed, here %.2f to %.2f" % (passed, least, most))
    ctx.point("tsc=unstable without an HPET: the PM timer, and no turn of it is lost")
    s.type("poweroff -f\n")
    s.machine.wait(20)


CASES = [("clock: sources", sources), ("clock: tsc=unstable", unstable)]
