# The parts of the x86-64 HAL that reach the machine through accessors only.
HOST_HAL := hal/x86_64/uart.c hal/x86_64/calibrate.c hal/x86_64/clocksource.c hal/x86_64/apic_setup.c \
	hal/x86_64/mitigate.c hal/x86_64/mitigate_text.c

$(call host_test,hal,$(HOST_FRAMEWORK) $(HOST_LIB) $(HOST_HAL) test/host/hal_uart_test.c test/host/hal_clock_test.c \
	test/host/hal_apic_test.c test/host/hal_pt_test.c test/host/hal_mitigate_test.c \
	test/host/hal_pti_test.c,$(HOST_FLAGS) -I hal/x86_64 -I hal/x86_64/include)

# Files that use the machine's instructions, on a made-up machine (test/host/x86/fake.h). Its arch/ shadows theirs.
HOST_HAL_IRQ := $(addprefix hal/x86_64/,apic.c apic_setup.c ioapic.c irq.c irq_move.c irq_stat.c msi.c pic.c)

$(call host_test,hal_irq,$(HOST_FRAMEWORK) $(HOST_LIB) $(HOST_ACPI) $(HOST_HAL_IRQ) \
	$(addprefix test/host/,x86/fake.c x86/device.c hal_irq_test.c hal_irq_move_test.c vectors_test.c), \
	$(HOST_FLAGS) -I test/host/x86 -I hal/x86_64 -I hal/x86_64/include)

# What a CPU takes over, how it is compared and where it sits, on made-up CPUs.
$(call host_test,hal_cpu,$(HOST_FRAMEWORK) $(HOST_LIB) $(addprefix hal/x86_64/,cpu_state.c features.c topology.c tsc_sync.c) \
	test/host/hal_cpu_test.c,$(HOST_FLAGS) -I test/host/x86cpu -I hal/x86_64 -I hal/x86_64/include)

# Vector state with the real instructions, which programs may use.
$(call host_test,hal_fpu,$(HOST_FRAMEWORK) $(HOST_LIB) hal/x86_64/fpu.c test/host/hal_fpu_test.c,$(HOST_FLAGS) \
	-I test/host/x86fpu -I hal/x86_64 -I hal/x86_64/include)

# The CMOS clock, made up.
$(call host_test,hal_wallclock,$(HOST_FRAMEWORK) $(HOST_LIB) hal/x86_64/wallclock.c test/host/hal_wallclock_test.c, \
	$(HOST_FLAGS) -I test/host/x86 -I hal/x86_64 -I hal/x86_64/include)
