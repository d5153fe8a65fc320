# Unit tests and fuzzers of the loader's portable half.
LOADER_PORTABLE := $(addprefix efi-loader/,config.c crc.c elf.c initrd.c memmap.c paging.c random.c text.c)
LOADER_HOST     := $(HOST_FRAMEWORK) $(HOST_LIB) $(LOADER_PORTABLE) test/host/loader_kernel.c
LOADER_FLAGS    := $(HOST_FLAGS) -I efi-loader

$(call host_test,loader,$(LOADER_HOST) test/host/loader_config_test.c test/host/loader_elf_test.c \
	test/host/loader_memory_test.c,$(LOADER_FLAGS))
$(call host_test,loader_fuzz_elf,$(LOADER_HOST) test/host/fuzz.c test/host/loader_fuzz_elf.c,$(LOADER_FLAGS))
$(call host_test,loader_fuzz_config,$(LOADER_HOST) test/host/fuzz.c test/host/loader_fuzz_config.c,$(LOADER_FLAGS))
$(call host_test,loader_fuzz_memmap,$(LOADER_HOST) test/host/fuzz.c test/host/loader_fuzz_memmap.c,$(LOADER_FLAGS))
$(call host_test,loader_fuzz_initrd,$(LOADER_HOST) test/host/fuzz.c test/host/loader_fuzz_initrd.c,$(LOADER_FLAGS))
