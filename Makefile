# Halcyon's build. `make help` lists what can be asked for.
#
# How it is laid out
#   $(BUILD)          the release build; $(BUILD)/debug and $(BUILD)/check the other variants below. One
#                     run of make builds one variant, VARIANT (DEBUG=1 says debug); OUT is its folder.
#   $(OUT)/stage      one include folder per layer, of links: a header that a layer may not include is not there, so
#                     the include does not compile (design §2). The layers stand in order in LAYERS below.
#   $(OUT)/obj        objects and their dependency files (.d), named after the source
#   $(OUT)/gen        generated sources: offsets.inc for NASM, syscall/*, ksyms.asm
#   $(OUT)/flags      the compiler and its flags as of now; every object depends on it, so a changed flag rebuilds
#
# Two builds of one commit are equal bit for bit: no path of the tree or of BUILD gets into an output
# (-ffile-prefix-map), lists are sorted, times come from SOURCE_DATE_EPOCH.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# The same sources in every variant; what differs is what watches them.
#   release   what users run: nothing of the instruments is in its hot paths
#   debug     every detector: lock book, KASAN, UBSAN, poison, self tests. What the tests run in
#   check     the same without KASAN and UBSAN: slab red zones and poison, at a third of the cost
# COVERAGE=1 compiles everything with gcov, the loader too, in a BUILD of its own; KASAN and UBSAN are off (ci/coverage).
BUILD   ?= build
DEBUG   ?= 0
VARIANT ?= $(if $(filter 1,$(DEBUG)),debug,release)
OUT     := $(BUILD)$(if $(filter release,$(VARIANT)),,/$(VARIANT))
# 1 if VARIANT is one of the words, else 0
variant_is = $(if $(filter $(1),$(VARIANT)),1,0)
COVERAGE ?= 0
export COVERAGE
KASAN := $(if $(filter 1,$(COVERAGE)),0,$(call variant_is,debug))
UBSAN := $(KASAN)
FEATURES := -DHALCYON_DEBUG=$(call variant_is,debug check) -DHALCYON_KASAN=$(KASAN) -DHALCYON_UBSAN=$(UBSAN) \
	-DHALCYON_COVERAGE=$(COVERAGE)
# The tree's name in what we build: not its path, so that builds are equal; gcov must find the sources.
TREE_NAME := $(if $(filter 1,$(COVERAGE)),$(CURDIR),/halcyon)
# COVERAGE=1: what the compiler is told, and the section that holds the list of an image's counters.
# (With a seed of its own the stamp of a counter file does not come from the time.)
gcov_flags = $(if $(filter 1,$(COVERAGE)),-frandom-seed=halcyon -fprofile-arcs -ftest-coverage -fprofile-info-section=$(1))

CC      := gcc
LD      := ld
NASM    := nasm
NM      := nm
STRIP   := strip
OBJCOPY := objcopy
PYTHON  := python3
export LC_ALL := C
export PYTHONDONTWRITEBYTECODE := 1

comma := ,

# Quiet by default; `make V=1` shows the commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-8s%s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$(2))')

# ---- the machine that builds ---------------------------------------------------------------------
# Missing packages are installed, or named, before anything is read from them.
NEEDS_DEPS := $(filter-out clean coverage help lint,$(or $(MAKECMDGOALS),all))
ifneq ($(and $(filter 0,$(MAKELEVEL)),$(NEEDS_DEPS)),)
ifneq ($(shell ci/deps.sh >&2 && echo ready),ready)
$(error packages are missing, see above)
endif
endif

ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 1704067200)
endif
export SOURCE_DATE_EPOCH
VERSION := $(shell git describe --always --abbrev=12 2>/dev/null || echo unknown)

# ---- layers and what each may see ----------------------------------------------------------------
# Each layer sees the ones before it. The siblings see all of LAYERS_BELOW and themselves.
LAYERS_BELOW := lib core mm sched task signal vm block vfs
SIBLINGS     := fs ipc net dev
LAYERS_ABOVE := proc debug syscall
LAYERS       := $(LAYERS_BELOW) $(SIBLINGS) $(LAYERS_ABOVE)

# upto LAYER LIST: the list up to and with the layer
upto = $(if $(2),$(firstword $(2)) $(if $(filter $(1),$(firstword $(2))),,$(call upto,$(1),$(wordlist 2,99,$(2)))))
sees_kernel = $(strip $(if $(filter main,$(1)),$(LAYERS),\
	$(if $(filter $(1),$(SIBLINGS)),$(LAYERS_BELOW) $(1),\
	$(call upto,$(1),$(LAYERS)))))

# Folders of include/ that a unit sees. `arch` is hal/x86_64/include/arch: kernel units have it only because the
# headers of include/hal include it for inline functions; `make lint` forbids them to name it.
SEES_lib        := lib abi
SEES_hal_common := lib abi hal boot
SEES_hal_x86_64 := lib abi hal boot arch
SEES_main       := lib abi hal boot arch
SEES_kernel     := lib abi hal arch

source_arch := hal/x86_64/include/arch
source_of    = $(or $(source_$(1)),include/$(1))

# ---- flags ---------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wmissing-declarations -Wstrict-prototypes \
	-Wold-style-definition -Wvla -Walloca -Wundef -Wpointer-arith -Wwrite-strings -Wformat=2 \
	-Wredundant-decls -Wlogical-op -Wduplicated-cond -Wimplicit-fallthrough -Wframe-larger-than=2048 \
	-Wno-unused-parameter

# The kernel is a static PIE: hidden visibility keeps all references direct, so that only RELATIVE relocations are
# left. User-controlled indirect branches go through retpolines (hal/x86_64 has the thunks). The canary is at gs:40.
# Of the check kernel nobody asks for variables: lines are enough, and a sixth less to compile.
KERNEL_CFLAGS := -std=gnu11 -O2 $(if $(filter check,$(VARIANT)),-g1,-g) -ffreestanding -nostdinc \
	-isystem $(shell $(CC) -print-file-name=include) \
	-fpie -fvisibility=hidden -mno-red-zone -mgeneral-regs-only -fno-omit-frame-pointer \
	-fno-strict-aliasing -fno-common -fno-delete-null-pointer-checks -fwrapv -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -fno-stack-clash-protection -fcf-protection=none \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs \
	-mstack-protector-guard-offset=40 \
	-mindirect-branch=thunk-extern -mindirect-branch-register -fno-jump-tables \
	-gno-record-gcc-switches -ffile-prefix-map=$(CURDIR)=$(TREE_NAME) -ffile-prefix-map=$(OUT)/gen=gen \
	$(FEATURES) $(call gcov_flags,.gcov_info) $(WARNINGS)
# What the variants add. The shadow's place: include/hal/shadow.h. Looks at the shadow are inline. UBSAN leaves out what
# the kernel defines otherwise (-fwrapv, no null object at 0) and what x86 allows (unaligned accesses). Its code hides from
# gcc which variables are set (-Wmaybe-uninitialized); the other variants still say so.
KASAN_CFLAGS := $(if $(filter 1,$(KASAN)),-fsanitize=kernel-address -fasan-shadow-offset=0xdffffc0000000000 \
	--param asan-stack=1 --param asan-globals=1 --param asan-instrumentation-with-call-threshold=1000000 \
	-fsanitize-address-use-after-scope -Wframe-larger-than=6144)
UBSAN_CFLAGS := $(if $(filter 1,$(UBSAN)),-fsanitize=undefined -fno-sanitize=null$(comma)alignment$(comma)vptr \
	-Wno-maybe-uninitialized)
POISON_CFLAGS := $(if $(filter debug check,$(VARIANT)),-ftrivial-auto-var-init=pattern)
# Sources that KASAN does not look at: its own, and the slab's, which work on memory that nobody may touch.
KASAN_PLAIN := $(addprefix kernel/mm/,kasan.c kasan_report.c kasan_shadow.c quarantine.c stackdepot.c slab.c slab_debug.c \
	kstack.c) hal/x86_64/shadow.c
# UBSAN's own reports, and what runs before there is anything to report with.
UBSAN_PLAIN := kernel/core/ubsan.c kernel/mm/kasan.c hal/x86_64/shadow.c
detector_flags = $(if $(filter $(KASAN_PLAIN),$(1)),,$(KASAN_CFLAGS)) $(if $(filter $(UBSAN_PLAIN),$(1)),,$(UBSAN_CFLAGS)) \
	$(if $(filter hal/x86_64/shadow.c,$(1)),,$(POISON_CFLAGS))
KERNEL_ASFLAGS := -f elf64 -Ox -w+error $(FEATURES) -I $(OUT)/gen/ -I hal/x86_64/
KERNEL_LDFLAGS := -m elf_x86_64 -pie --no-dynamic-linker -Bsymbolic -z text -z noexecstack -z max-page-size=4096 \
	-z common-page-size=4096 -z norelro --build-id=none --hash-style=gnu --gc-sections --no-undefined \
	--fatal-warnings --orphan-handling=error $(if $(filter 1,$(KASAN)),--defsym=halcyon_kasan=1) -T hal/x86_64/kernel.lds

# ---- sources -------------------------------------------------------------------------------------
sources = $(sort $(wildcard $(1)))

KERNEL_C    := $(foreach l,$(LAYERS),$(call sources,kernel/$(l)/*.c)) $(wildcard kernel/main.c)
HAL_C       := $(filter-out hal/x86_64/offsets.c,$(call sources,hal/x86_64/*.c)) $(call sources,hal/common/*.c)
HAL_ASM     := $(call sources,hal/x86_64/*.asm)
SYSCALL_GEN := $(wildcard kernel/syscall/gen.py)
KERNEL_OBJS := $(patsubst %,$(OUT)/obj/%.o,$(HAL_ASM) $(HAL_C) $(KERNEL_C)) \
	$(if $(SYSCALL_GEN),$(OUT)/obj/gen/syscall.o)
STAGE       := $(OUT)/stage/.done

# ---- what one can ask for ------------------------------------------------------------------------
.PHONY: bench bench-check bench-baseline
.PHONY: all release variant image run debug attach test test-host test-selftest test-abi test-machine test-smp test-fuzz test-long coverage lint clean help FORCE

all: ## everything: loader, kernel, initrd and image, release and debug
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant
	+$(Q)$(MAKE) --no-print-directory VARIANT=debug variant

release: ## the release variant only
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant

variant: $(OUT)/BOOTX64.EFI $(OUT)/kernel.elf $(OUT)/initrd.img $(OUT)/halcyon.img

image: $(OUT)/halcyon.img ## the disk image: build/halcyon.img (VARIANT=debug: build/debug/halcyon.img)

run: $(OUT)/halcyon.img ## boot the image in QEMU to a prompt on this terminal (MEM=, CPUS=, APPEND=, QEMU_ARGS=)
	$(Q)$(PYTHON) tools/qemu.py run --image $< --memory "$(or $(MEM),512M)" --cpus "$(or $(CPUS),2)" \
		--append "$(APPEND)" -- $(QEMU_ARGS)

debug: ## QEMU stopped at its stub and gdb attached, with the symbols of kernel and loader (debug kernel, nokaslr)
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant
	+$(Q)$(MAKE) --no-print-directory VARIANT=debug variant
	$(Q)$(PYTHON) tools/qemu.py debug --image $(BUILD)/debug/halcyon.img --kernel $(BUILD)/debug/kernel.elf \
		--loader $(BUILD)/debug/BOOTX64.so --memory "$(or $(MEM),512M)" --cpus "$(or $(CPUS),1)" \
		--append "$(APPEND)" --build $(BUILD) -- $(QEMU_ARGS)

attach: ## gdb, with the hx- commands, on the machine that `make run` started last (STUB=socket or host:port, KERNEL=elf)
	$(Q)$(PYTHON) tools/qemu.py attach --build $(BUILD) $(if $(STUB),--stub "$(STUB)") $(if $(KERNEL),--kernel "$(KERNEL)")

test: ## every ring of tests; the last line is `N passed, N failed`
	$(Q)ci/rings --build $(BUILD) host selftest abi machine smp fuzz

test-host: ## ring 1: portable code and fuzzers on this machine, under ASan and UBSan
	$(Q)ci/rings --build $(BUILD) host
test-selftest: ## ring 2: the kernel's self tests in QEMU
	$(Q)ci/rings --build $(BUILD) selftest
test-abi: ## ring 3: Linux programs, on Linux first, then on Halcyon
	$(Q)ci/rings --build $(BUILD) abi
test-machine: ## ring 4: the whole machine, driven over its serial line
	$(Q)ci/rings --build $(BUILD) machine
test-smp: ## many CPUs: a matrix of machines, what two CPUs do, torture of the debug kernel
	$(Q)ci/rings --build $(BUILD) smp
test-fuzz: ## ring 5: a minute of random system calls (SEED= and FUZZ_SECONDS= choose)
	$(Q)ci/rings --build $(BUILD) fuzz
test-long: ## every ring; torture on 1, 2, 4 and 8 CPUs; half an hour of random system calls from a seed of the day
	$(Q)ci/rings --build $(BUILD) host selftest abi machine
	$(Q)TORTURE_CPUS="1 2 4 8" TORTURE_SECONDS=$(or $(TORTURE_SECONDS),10) ci/rings --build $(BUILD) smp
	$(Q)SEED=$(or $(SEED),$(shell date +%y%m%d00000)) FUZZ_SECONDS=$(or $(FUZZ_SECONDS),1800) \
		ci/rings --build $(BUILD) fuzz

bench: ## one program on Halcyon and on Debian's Linux, beside each other (ONLY="ops", MODE=exact|wall|events, PUBLISH=1 for docs/)
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant
	+$(Q)$(MAKE) --no-print-directory VARIANT=debug variant
	$(Q)ci/deps.sh oracle
	$(Q)$(PYTHON) test/qemu/bench.py --build $(BUILD) --mode $(or $(MODE),all) $(if $(ONLY),--only $(ONLY)) $(if $(PUBLISH),--publish)
bench-check: ## Halcyon's instruction counts against the committed baseline: none may grow by over 5 %
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant
	$(Q)$(PYTHON) test/qemu/run.py bench-check --build $(BUILD)
bench-baseline: ## measure that baseline anew
	+$(Q)$(MAKE) --no-print-directory VARIANT=release variant
	$(Q)$(PYTHON) test/qemu/bench.py --build $(BUILD) --write-baseline

coverage: ## all rings compiled with gcov: a table by folder, and HTML in build/coverage/html
	$(Q)ci/coverage

profile: release $(BUILD)/profile/plugin.so $(BUILD)/profile/init ## exact instructions per kernel function: PROG="command" (WARM=, MARKS=own, ADD=file, ROWS=, APPEND=)
	$(Q)$(PYTHON) tools/profile/profile.py --build $(BUILD) --prog '$(subst ','\'',$(PROG))' --warm "$(or $(WARM),0)" \
		--rows "$(or $(ROWS),40)" $(if $(filter own,$(MARKS)),--own) $(foreach a,$(ADD),--add "$(a)") --append "$(APPEND)"

lint: ## the tree check: include directions, file sizes, READMEs, no assembly in portable code
	$(Q)ci/lint

clean: ## remove the build folder (the package cache in .cache stays)
	$(Q)rm -rf $(BUILD)

help: ## this list
	@echo 'make TARGET [BUILD=folder] [DEBUG=1] [V=1]'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# ---- the stage and the flags file ----------------------------------------------------------------
# stage_unit UNIT FOLDERS-OF-INCLUDE KERNEL-LAYERS. Links are replaced where they are, as dependency files name headers
# through them; what a changed Makefile no longer allows goes.
stage_unit = mkdir -p $(OUT)/stage/$(1)/kernel; \
	$(foreach f,$(2),ln -sfn $(CURDIR)/$(call source_of,$(f)) $(OUT)/stage/$(1)/$(f);) \
	$(foreach l,$(3),ln -sfn $(CURDIR)/include/kernel/$(l) $(OUT)/stage/$(1)/kernel/$(l);) \
	for l in $(OUT)/stage/$(1)/kernel/*; do case " $(3) " in *" $${l\#\#*/} "*) ;; *) rm -f "$$l" ;; esac; done;

$(STAGE): Makefile
	$(Q)$(call stage_unit,lib,$(SEES_lib),)
	$(Q)$(call stage_unit,hal_common,$(SEES_hal_common),)
	$(Q)$(call stage_unit,hal_x86_64,$(SEES_hal_x86_64),)
	$(Q)$(call stage_unit,main,$(SEES_main),$(LAYERS))
	$(Q)$(foreach l,$(filter-out lib,$(LAYERS)),$(call stage_unit,$(l),$(SEES_kernel),$(call sees_kernel,$(l))))
	$(Q)ln -sfn ../../gen/syscall $(OUT)/stage/syscall/gen
	$(Q)touch $@

FLAGS_TEXT = $(CC) $(KERNEL_CFLAGS) | $(KASAN_CFLAGS) $(UBSAN_CFLAGS) $(POISON_CFLAGS) | $(KERNEL_ASFLAGS) | $(KERNEL_LDFLAGS) | $(LOADER_CFLAGS) | $(HOST_CFLAGS) | $(USER_CFLAGS)
$(OUT)/flags: FORCE
	@mkdir -p $(OUT)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@

# The time that goes into archives and images: a new commit makes them anew, and nothing else.
$(BUILD)/epoch: FORCE
	@mkdir -p $(BUILD)
	@echo '$(SOURCE_DATE_EPOCH)' | cmp -s - $@ || echo '$(SOURCE_DATE_EPOCH)' > $@

# ---- kernel objects ------------------------------------------------------------------------------
# The unit of a source says which stage folder it is compiled with.
# Of the name maps that fit, gcc takes the last one.
stage_flags = -I $(OUT)/stage/$(1) -ffile-prefix-map=$(CURDIR)/$(OUT)/stage/$(1)=include -ffile-prefix-map=$(OUT)/stage/$(1)=include \
	-ffile-prefix-map=$(OUT)/stage/$(1)/arch=hal/x86_64/include/arch

# kernel_rule SOURCE-PATTERN UNIT EXTRA-FLAGS
define kernel_rule
$(OUT)/obj/$(1).o: $(1) $(OUT)/flags Makefile $(STAGE)
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KERNEL_CFLAGS) $$(call detector_flags,$$<) $$(call stage_flags,$(2)) $(3) -MMD -MP -MF $$(@:.o=.d) -c $$< -o $$@
endef

$(foreach l,$(LAYERS),$(eval $(call kernel_rule,kernel/$(l)/%.c,$(l))))
$(eval $(call kernel_rule,kernel/main.c,main))
$(eval $(call kernel_rule,hal/common/%.c,hal_common))
$(eval $(call kernel_rule,hal/x86_64/%.c,hal_x86_64,-I hal/x86_64))

$(OUT)/obj/hal/x86_64/%.asm.o: hal/x86_64/%.asm $(OUT)/flags Makefile $(OUT)/gen/offsets.inc
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)$(NASM) $(KERNEL_ASFLAGS) -MD $(@:.o=.d) -MP -MT $@ -o $@ $<

# Structure offsets for NASM: the compiler prints them into its assembly, the script picks them out.
$(OUT)/gen/offsets.s: $(wildcard hal/x86_64/offsets.c) $(OUT)/flags Makefile tools/offsets.py $(STAGE)
	@mkdir -p $(@D)
	$(Q)$(if $(wildcard hal/x86_64/offsets.c),$(CC) $(KERNEL_CFLAGS) -g0 $(call stage_flags,hal_x86_64) -I hal/x86_64 \
		-MMD -MP -MT $@ -MF $(OUT)/gen/offsets.d -S $< -o $@,: > $@)
$(OUT)/gen/offsets.inc: $(OUT)/gen/offsets.s
	$(call say,GEN,$@)
	$(Q)$(PYTHON) tools/offsets.py $< $@

# The vDSO: user code, a shared object of its own, which hal/x86_64/vdso_image.asm takes into the kernel's image.
VDSO_CFLAGS := -std=gnu11 -O2 -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) -fPIC \
	-fno-strict-aliasing -fno-stack-protector -fcf-protection=none -fasynchronous-unwind-tables -mgeneral-regs-only \
	-ffile-prefix-map=$(CURDIR)=$(TREE_NAME) $(WARNINGS)
VDSO_LDFLAGS := -m elf_x86_64 -shared -soname linux-vdso.so.1 --hash-style=both --build-id=sha1 --eh-frame-hdr -Bsymbolic \
	-z text -z noexecstack -z max-page-size=4096 --no-undefined --fatal-warnings -T hal/x86_64/vdso/vdso.lds
$(OUT)/obj/hal/x86_64/vdso/vdso.o: hal/x86_64/vdso/vdso.c $(OUT)/flags Makefile $(STAGE)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(VDSO_CFLAGS) $(call stage_flags,hal_x86_64) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(OUT)/gen/vdso.so: $(OUT)/obj/hal/x86_64/vdso/vdso.o hal/x86_64/vdso/vdso.lds Makefile
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LD) $(VDSO_LDFLAGS) -o $@ $<
	$(Q)$(STRIP) --strip-unneeded $@
$(OUT)/obj/hal/x86_64/vdso_image.asm.o: $(OUT)/gen/vdso.so
-include $(OUT)/obj/hal/x86_64/vdso/vdso.d

# The system call table, from which everything else about system calls is made.
ifneq ($(SYSCALL_GEN),)
$(OUT)/gen/syscall/.done: kernel/syscall/gen.py kernel/syscall/syscall.tbl Makefile
	$(call say,GEN,$(@D))
	@mkdir -p $(@D)
	$(Q)$(PYTHON) kernel/syscall/gen.py kernel/syscall/syscall.tbl $(@D)
	$(Q)touch $@
# All the C files that it made are one object.
$(OUT)/obj/gen/syscall.o: $(OUT)/gen/syscall/.done $(OUT)/flags $(STAGE)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)for f in $(OUT)/gen/syscall/*.c; do echo "#include <gen/$${f##*/}>"; done | \
		$(CC) $(KERNEL_CFLAGS) $(call detector_flags,gen) $(call stage_flags,syscall) -MMD -MP -MT $@ -MF $(@:.o=.d) -x c -c - -o $@
$(filter $(OUT)/obj/kernel/syscall/%,$(KERNEL_OBJS)): $(OUT)/gen/syscall/.done
endif

# ---- linking the kernel --------------------------------------------------------------------------
# Pass 1 links with an empty symbol table, pass 2 with the table of pass 1. The table is the image's last part, so
# that no address moves; tools/checkelf.py proves that, and that the loader will accept the file.
$(OUT)/gen/ksyms0.asm: tools/ksyms.py
	@mkdir -p $(@D)
	$(Q): | $(PYTHON) tools/ksyms.py > $@
$(OUT)/gen/ksyms.asm: $(OUT)/obj/kernel.pass1 tools/ksyms.py
	$(call say,GEN,$@)
	$(Q)$(NM) -n $< | $(PYTHON) tools/ksyms.py > $@
$(OUT)/obj/gen/%.o: $(OUT)/gen/%.asm $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)cd $(<D) && $(NASM) -f elf64 -o $(abspath $@) $(<F)
$(OUT)/obj/kernel.list: FORCE
	@mkdir -p $(@D)
	@echo '$(KERNEL_OBJS)' | cmp -s - $@ || echo '$(KERNEL_OBJS)' > $@
$(OUT)/obj/kernel.pass1: $(KERNEL_OBJS) $(OUT)/obj/gen/ksyms0.o $(OUT)/obj/kernel.list hal/x86_64/kernel.lds
	$(call say,LD,$@)
	$(Q)$(LD) $(KERNEL_LDFLAGS) -o $@ $(KERNEL_OBJS) $(OUT)/obj/gen/ksyms0.o
$(OUT)/kernel.elf: $(OUT)/obj/kernel.pass1 $(OUT)/obj/gen/ksyms.o tools/checkelf.py include/boot/bootinfo.h
	$(call say,LD,$@)
	$(Q)$(LD) $(KERNEL_LDFLAGS) -o $@ $(KERNEL_OBJS) $(OUT)/obj/gen/ksyms.o
	$(Q)$(PYTHON) tools/checkelf.py $@ --same-symbols $(OUT)/obj/kernel.pass1 --handoff include/boot/bootinfo.h
$(OUT)/esp/kernel.elf: $(OUT)/kernel.elf
	@mkdir -p $(@D)
	$(Q)$(STRIP) --strip-all -o $@ $<

# ---- the loader ----------------------------------------------------------------------------------
# See firmware.md's facts in docs/boot.md: the calling convention, the sections that objcopy must name, NX_COMPAT.
EFI_LIB      := $(firstword $(wildcard /usr/lib/crt0-efi-x86_64.o /usr/lib/x86_64-linux-gnu/gnuefi/crt0-efi-x86_64.o))
EFI_LIBDIR   := $(dir $(EFI_LIB))
LOADER_C     := $(call sources,efi-loader/*.c)
LOADER_ASM   := $(call sources,efi-loader/*.asm)
LOADER_OBJS  := $(patsubst %,$(BUILD)/obj/%.o,$(LOADER_ASM) $(LOADER_C))
LOADER_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fpic -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-strict-aliasing -fno-common -fvisibility=hidden -fno-asynchronous-unwind-tables \
	-fno-stack-clash-protection -fcf-protection=none -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi \
	-isystem /usr/include/efi/x86_64 -I include -I efi-loader \
	-gno-record-gcc-switches -ffile-prefix-map=$(CURDIR)=$(TREE_NAME) -DHALCYON_COVERAGE=$(COVERAGE) \
	$(call gcov_flags,.data.rel.gcov) $(WARNINGS) -Wframe-larger-than=4096

ifeq ($(VARIANT),release)
$(BUILD)/obj/efi-loader/%.c.o: efi-loader/%.c $(BUILD)/flags Makefile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LOADER_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(BUILD)/obj/efi-loader/%.asm.o: efi-loader/%.asm $(BUILD)/flags Makefile
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -w+error -MD $(@:.o=.d) -MP -MT $@ -o $@ $<
# gnu-efi's link script, and where the counters of COVERAGE=1 begin and end.
$(BUILD)/gen/loader.lds: $(EFI_LIBDIR)elf_x86_64_efi.lds Makefile
	@mkdir -p $(@D)
	$(Q)sed 's/_data = \.;/& __gcov_info_start = .; *(.data.rel.gcov) __gcov_info_end = .;/' $< > $@
$(BUILD)/BOOTX64.so: $(LOADER_OBJS) $(BUILD)/gen/loader.lds
	$(call say,LD,$@)
	$(Q)$(LD) -nostdlib -shared -Bsymbolic --no-undefined -znocombreloc -z noexecstack --build-id=none \
		-T $(BUILD)/gen/loader.lds -L $(EFI_LIBDIR) -L /usr/lib $(EFI_LIB) $(LOADER_OBJS) -lgnuefi -lefi -o $@
$(BUILD)/BOOTX64.EFI: $(BUILD)/BOOTX64.so tools/pefix.py
	$(call say,OBJCOPY,$@)
	$(Q)$(OBJCOPY) -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j '.rel*' -j '.rela*' -j .reloc \
		--target efi-app-x86_64 --subsystem=10 $< $@
	$(Q)$(PYTHON) tools/pefix.py $@
endif

# ---- user programs and the initrd ----------------------------------------------------------------
# userland/NAME.c or userland/NAME/*.c becomes the static musl program $(BUILD)/userland/NAME; NAME.elf beside it has its symbols.
USER_CFLAGS := -std=gnu11 -O2 -static -fno-pie -no-pie -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -ffile-prefix-map=$(CURDIR)=$(TREE_NAME) -s
USER_NAMES  := $(sort $(patsubst userland/%.c,%,$(wildcard userland/*.c)) \
	$(patsubst userland/%/,%,$(dir $(wildcard userland/*/*.c))))
USER_BINS   := $(addprefix $(BUILD)/userland/,$(USER_NAMES))
BUSYBOX     := $(firstword $(wildcard /bin/busybox /usr/bin/busybox))
INITRD_MANIFESTS := initrd/default.manifest initrd/init$(if $(filter init,$(USER_NAMES)),,-shell).manifest

ifeq ($(VARIANT),release)
# musl-gcc sees no <linux/...>: a folder of links to the distribution's kernel headers.
UAPI := $(BUILD)/uapi/.done
$(UAPI): Makefile
	@mkdir -p $(@D)
	$(Q)ln -sfn /usr/include/linux $(@D)/linux
	$(Q)ln -sfn $(firstword $(wildcard /usr/include/x86_64-linux-gnu/asm /usr/include/asm)) $(@D)/asm
	$(Q)ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	$(Q)touch $@

define user_rule
$(BUILD)/userland/$(1): $(call sources,userland/$(1).c userland/$(1)/*.c) $(wildcard userland/*.h userland/$(1)/*.h) \
		$(BUILD)/flags $(UAPI)
	$$(call say,MUSL,$$@)
	@mkdir -p $$(@D)
	$$(Q)musl-gcc $$(filter-out -s,$$(USER_CFLAGS)) -g -idirafter $(BUILD)/uapi -I include/abi -o $$@.elf $$(filter %.c,$$^)
	$$(Q)$(STRIP) --strip-all -o $$@ $$@.elf
endef
$(foreach n,$(USER_NAMES),$(eval $(call user_rule,$(n))))

$(BUILD)/initrd.img: $(INITRD_MANIFESTS) initrd/mkinitrd.py $(USER_BINS) $(BUSYBOX) $(BUILD)/flags $(BUILD)/epoch
	$(call say,CPIO,$@)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) initrd/mkinitrd.py $(addprefix --manifest ,$(INITRD_MANIFESTS)) --var userland=$(BUILD)/userland \
		--var busybox=$(BUSYBOX) --output $@

$(BUILD)/boot.conf: initrd/boot.conf
	@mkdir -p $(@D)
	$(Q)cp $< $@
else
# The other variants have the same loader, initrd and boot.conf; `all` made them before.
$(OUT)/BOOTX64.EFI $(OUT)/BOOTX64.so $(OUT)/initrd.img $(OUT)/boot.conf: $(OUT)/%: $(BUILD)/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(BUILD)/BOOTX64.EFI $(BUILD)/BOOTX64.so $(BUILD)/initrd.img $(BUILD)/boot.conf:
	+$(Q)$(MAKE) --no-print-directory VARIANT=release $@
variant: $(OUT)/BOOTX64.so
endif

# ---- the profiler -------------------------------------------------------------------------------
# A plug-in for QEMU, and static programs that it watches (docs/profiling.md).
ifeq ($(VARIANT),release)
$(BUILD)/profile/plugin.so $(BUILD)/profile/count.so: $(BUILD)/profile/%.so: tools/profile/%.c tools/profile/qemu_plugin.h Makefile
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -shared -fPIC \
		-fvisibility=hidden -o $@ $<
$(BUILD)/profile/init $(BUILD)/profile/exact: $(BUILD)/profile/%: tools/profile/%.c tools/profile/mark.h $(BUILD)/flags
	$(call say,MUSL,$@)
	@mkdir -p $(@D)
	$(Q)musl-gcc $(USER_CFLAGS) -o $@ $<
# What the tests of gdb's helpers look at; it keeps its symbols. A PIE of glibc's, as programs commonly are.
$(BUILD)/gdb/init: test/gdb/target.c Makefile $(BUILD)/flags
	$(call say,MUSL,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -s -O2 -static -fno-pie -no-pie,$(USER_CFLAGS)) -O1 -g -static-pie -fPIE -o $@ $< -lpthread
endif
.PHONY: profile profile-programs gdb-programs
gdb-programs: $(BUILD)/gdb/init
profile-programs: $(BUILD)/profile/plugin.so $(BUILD)/profile/count.so $(BUILD)/profile/init $(BUILD)/profile/exact

# ---- the disk image ------------------------------------------------------------------------------
$(OUT)/halcyon.img: $(OUT)/BOOTX64.EFI $(OUT)/esp/kernel.elf $(OUT)/initrd.img $(OUT)/boot.conf tools/mkimage.sh $(BUILD)/epoch
	$(call say,IMAGE,$@)
	$(Q)tools/mkimage.sh $@ $(OUT)/BOOTX64.EFI $(OUT)/esp/kernel.elf $(OUT)/initrd.img $(OUT)/boot.conf

# ---- host tests (ring 1) -------------------------------------------------------------------------
# test/host/NAME.mk says `$(call host_test,NAME,SOURCES,FLAGS)`: one program, built under ASan and UBSan.
HOST_CFLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DHALCYON_HOST=1 -DHALCYON_DEBUG=1 -DHALCYON_KASAN=0 -DHALCYON_UBSAN=0 -DHALCYON_COVERAGE=0 \
	$(if $(filter 1,$(COVERAGE)),--coverage) -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla \
	-Wno-unused-parameter
HOST_TESTS :=
# host_test NAME SOURCES FLAGS. Tests that compile a source with the same flags share the object, in the folder of the first
# of them; the framework and kernel/lib need no flags of a test's own. host_folder+FLAGS remembers who was first.
host_word     = $(subst =,+,$(subst $(subst ,, ),+,$(strip $(1))))
host_flags_of = $(if $(filter $(HOST_FRAMEWORK) $(HOST_LIB),$(1)),$(HOST_FLAGS),$(2))
host_name_of  = $(BUILD)/host/$(host_folder+$(call host_word,$(call host_flags_of,$(1),$(2))))/$(1).o
define host_test_rule
HOST_TESTS += $(BUILD)/host/$(1)
$(BUILD)/host/$(1): $(foreach s,$(2),$(call host_name_of,$(s),$(3)))
	$$(call say,HOSTLD,$$@)
	$$(Q)$$(CC) $$(HOST_CFLAGS) -o $$@ $$^ -lpthread
endef
# host_object_rule OBJECT SOURCE FLAGS
define host_object_rule
host_made+$(1) := 1
$(1): $(2) $(BUILD)/flags Makefile
	$$(call say,HOSTCC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(HOST_CFLAGS) $(3) -MMD -MP -MF $$(@:.o=.d) -c $$< -o $$@
-include $(1:.o=.d)
endef
# host_object NAME SOURCE FLAGS
host_object = $(if $(host_folder+$(call host_word,$(3))),,$(eval host_folder+$(call host_word,$(3)) := $(1).obj))$\
	$(if $(host_made+$(call host_name_of,$(2),$(3))),,$(eval $(call host_object_rule,$(call host_name_of,$(2),$(3)),$(2),$(3))))
host_test = $(foreach s,$(2),$(call host_object,$(1),$(s),$(call host_flags_of,$(s),$(3))))$(eval $(call host_test_rule,$(1),$(2),$(3)))
ifeq ($(VARIANT),release)
-include $(call sources,test/host/*.mk)
endif
.PHONY: host-tests
host-tests: $(HOST_TESTS)
	@echo $(HOST_TESTS) > $(BUILD)/host/list

# ---- ABI programs (ring 3) -----------------------------------------------------------------------
ifeq ($(VARIANT),release)
-include test/abi/Makefile.inc
endif
.PHONY: abi-programs
abi-programs:

# ---- dependencies found by the compilers ---------------------------------------------------------
-include $(KERNEL_OBJS:.o=.d) $(LOADER_OBJS:.o=.d) $(OUT)/gen/offsets.d
