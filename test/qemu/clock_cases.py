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
    s.expect_output("a=$(date +%s); sleep 2; b=$(date +%s); [ $((b - a)) -ge 2 ] && [ $((b - a)) -le 4 ] && echo right", r"^right$")
    ctx.point("time goes on from counter to counter")
    s.type("poweroff -f\n")
    s.machine.wait(20)


def unstable(ctx):
    """No TSC to trust and no HPET: the PM timer, which wraps in 4.7 seconds, while the machine idles longer than that."""
    s = boot(ctx, "tsc=unstable", machine_opts=",hpet=off")
    s.expect_output("cat current_clocksource", r"^acpi_pm$")
    s.expect_output("cat available_clocksource", r"^acpi_pm $")
    s.expect_output("echo tsc > current_clocksource; cat current_clocksource", r"^acpi_pm$")
    start = time.monotonic()
    s.expect_output("sleep 6; echo slept", r"^slept$")
    took = time.monotonic() - start
    need(6 <= took < 10.5, "six seconds by a counter that wraps took %.1f" % took)
    ctx.point("tsc=unstable without an HPET: the PM timer, and no turn of it is lost")
    s.type("poweroff -f\n")
    s.machine.wait(20)


CASES = [("clock: sources", sources), ("clock: tsc=unstable", unstable)]
