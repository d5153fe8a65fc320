# Unit tests of kernel/lib and hal/common, and their fuzzers. See test/host/framework.h.
HOST_FRAMEWORK := test/host/framework.c test/host/host.c
HOST_LIB       := $(sort $(wildcard kernel/lib/*.c))
HOST_ACPI      := $(sort $(wildcard hal/common/*.c))
HOST_FLAGS     := -ffreestanding -include test/host/rename.h -I include -I test/host -fno-strict-aliasing -Wno-format-truncation

$(call host_test,lib,$(HOST_FRAMEWORK) $(HOST_LIB) $(sort $(wildcard test/host/lib/*.c)),$(HOST_FLAGS))
$(call host_test,acpi,$(HOST_FRAMEWORK) $(HOST_LIB) $(HOST_ACPI) test/host/acpi_test.c \
	test/host/acpi_numa_test.c test/host/efi_test.c,$(HOST_FLAGS))
$(call host_test,fuzz_elf,$(HOST_FRAMEWORK) $(HOST_LIB) test/host/fuzz.c test/host/fuzz_elf.c,$(HOST_FLAGS))
$(call host_test,fuzz_cpio,$(HOST_FRAMEWORK) $(HOST_LIB) test/host/fuzz.c test/host/fuzz_cpio.c,$(HOST_FLAGS))
$(call host_test,fuzz_acpi,$(HOST_FRAMEWORK) $(HOST_LIB) $(HOST_ACPI) test/host/fuzz.c test/host/fuzz_acpi.c,$(HOST_FLAGS))
$(call host_test,fuzz_text,$(HOST_FRAMEWORK) $(HOST_LIB) test/host/fuzz.c test/host/fuzz_text.c,$(HOST_FLAGS))

$(call host_test,threads,$(HOST_FRAMEWORK) $(HOST_LIB) test/host/threads_test.c,$(HOST_FLAGS))

# Parts of the kernel proper that are plain code over lib.
HOST_KERNEL := $(HOST_FLAGS) -I .

$(call host_test,cmdline,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/core/cmdline.c test/host/cmdline_test.c,$(HOST_KERNEL))
$(call host_test,ntp,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/sched/ntp.c test/host/ntp_test.c,$(HOST_KERNEL))
$(call host_test,cpumask,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/core/cpumask_text.c test/host/cpumask_test.c,$(HOST_KERNEL) \
	-I hal/host/include)
# Nodes of memory: the order in which they are asked.
$(call host_test,node,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/mm/node.c test/host/node_test.c,$(HOST_KERNEL) -I hal/host/include)
$(call host_test,ldisc,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/dev/ldisc.c test/host/ldisc_test.c,$(HOST_KERNEL))
$(call host_test,fuzz_ldisc,$(HOST_FRAMEWORK) $(HOST_LIB) kernel/dev/ldisc.c test/host/fuzz.c test/host/fuzz_ldisc.c,$(HOST_KERNEL))

# The machine's memory functions in assembly, under other names than libc's.
$(call host_test,hal_mem,$(HOST_FRAMEWORK) test/host/hal_mem_test.c,$(HOST_FLAGS))
$(BUILD)/host/hal_mem: $(BUILD)/host/hal_mem.obj/mem.asm.o
$(BUILD)/host/hal_mem.obj/mem.asm.o: hal/x86_64/mem.asm test/host/lib.mk
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -o $@ $<
	$(Q)$(OBJCOPY) --redefine-sym memcpy=asm_memcpy --redefine-sym memmove=asm_memmove \
		--redefine-sym memset=asm_memset $@
