# core and mm of the kernel, with their self tests, as a program: portable code against hal/host.
KERNEL_HOST_C     := $(addprefix kernel/core/,backtrace.c capture.c cmdline.c command.c command_peek.c console.c core_test.c lockdep.c \
	lockstat.c log.c nmi.c panic.c panic_report.c percpu.c preempt.c random.c rcu.c rcu_debug.c record.c selftest.c \
	smpcall.c spinlock.c stop.c \
	symbols.c tlb.c xcall.c) $(sort $(wildcard kernel/mm/*.c)) $(sort $(wildcard kernel/lib/*.c))
KERNEL_HOST_HAL   := hal/host/host.c hal/host/mmu.c
KERNEL_HOST_TEST  := test/host/framework.c test/host/host.c test/host/kernel_test.c
# (Both the kernel and the test framework have a random_u64.)
KERNEL_HOST_FLAGS := -I include -I hal/host/include -I hal/host -I test/host -fno-strict-aliasing -fwrapv -fno-common
KERNEL_HOST_OBJ   := $(BUILD)/host/kernel.obj
KERNEL_HOST_OBJS  := $(patsubst %,$(KERNEL_HOST_OBJ)/%.o,$(KERNEL_HOST_C) $(KERNEL_HOST_HAL) $(KERNEL_HOST_TEST))

HOST_TESTS += $(BUILD)/host/kernel

# Kernel code sees no header of the host's.
$(patsubst %,$(KERNEL_HOST_OBJ)/%.o,$(KERNEL_HOST_C)): $(KERNEL_HOST_OBJ)/%.o: % $(BUILD)/flags test/host/kernel.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) \
		-include test/host/rename.h $(KERNEL_HOST_FLAGS) -Wno-format-truncation -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(patsubst %,$(KERNEL_HOST_OBJ)/%.o,$(KERNEL_HOST_HAL)): $(KERNEL_HOST_OBJ)/%.o: % $(BUILD)/flags test/host/kernel.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(KERNEL_HOST_FLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(patsubst %,$(KERNEL_HOST_OBJ)/%.o,$(KERNEL_HOST_TEST)): $(KERNEL_HOST_OBJ)/%.o: % $(BUILD)/flags test/host/kernel.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -ffreestanding -include test/host/rename.h $(KERNEL_HOST_FLAGS) -Wno-format-truncation \
		-Drandom_u64=test_random_u64 -Drandom_below=test_random_below -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(BUILD)/host/kernel: $(KERNEL_HOST_OBJS) hal/host/host.lds
	$(call say,HOSTLD,$@)
	$(Q)$(CC) $(HOST_CFLAGS) -o $@ $(KERNEL_HOST_OBJS) -Wl,-T,hal/host/host.lds

-include $(KERNEL_HOST_OBJS:.o=.d)
