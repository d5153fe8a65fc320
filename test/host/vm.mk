# vm of the kernel, with its self tests, as a program: on the core, mm and lib that kernel.mk builds.
VM_HOST_C    := $(sort $(wildcard kernel/vm/*.c))
VM_HOST_OBJ  := $(BUILD)/host/vm.obj
VM_HOST_OBJS := $(patsubst %,$(VM_HOST_OBJ)/%.o,$(VM_HOST_C))
VM_HOST_BASE := $(filter-out %_test.c.o %/kernel_test.c.o,$(KERNEL_HOST_OBJS))

HOST_TESTS += $(BUILD)/host/vm

$(VM_HOST_OBJS): $(VM_HOST_OBJ)/%.o: % $(BUILD)/flags test/host/vm.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) \
		-include test/host/rename.h $(KERNEL_HOST_FLAGS) -Wno-format-truncation -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(VM_HOST_OBJ)/test/host/vm_test.c.o: test/host/vm_test.c $(BUILD)/flags test/host/vm.mk
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -ffreestanding -include test/host/rename.h $(KERNEL_HOST_FLAGS) -Wno-format-truncation \
		-Drandom_u64=test_random_u64 -Drandom_below=test_random_below -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(BUILD)/host/vm: $(VM_HOST_OBJS) $(VM_HOST_OBJ)/test/host/vm_test.c.o $(VM_HOST_BASE) hal/host/host.lds
	$(call say,HOSTLD,$@)
	$(Q)$(CC) $(HOST_CFLAGS) -o $@ $(filter %.o,$^) -Wl,-T,hal/host/host.lds

-include $(VM_HOST_OBJS:.o=.d) $(VM_HOST_OBJ)/test/host/vm_test.c.d
