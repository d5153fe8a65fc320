/* SPDX-License-Identifier: MIT */
/*
 * Vector state, hal/x86_64/fpu.c, with the instructions of the CPU that builds: what memory says after a thread has been switched
 * out. XSAVEOPT leaves out what has not changed since the last XRSTOR from the same address (SDM vol. 1 13.6), which no emulator
 * does; so whoever writes to an area that the registers were loaded from must see to it that it is true again.
 *
 * What is looked at is the x87's control word: nothing here computes with the x87, so it stays as it was loaded. An interrupt
 * in between makes the CPU forget that it has loaded it, hence many rounds.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <lib/string.h>
#include "fpu.h"
#include "framework.h"

#define ROUNDS		1000
#define FCW_SINGLE	0x007fu	/* not the initial one, and as harmless */
#define FCW_INITIAL	0x037fu
#define MXCSR_INITIAL	0x1f80u
#define LEGACY_FEATURES	3ull
#define AREA_BYTES	4096u
#define HEADER		512u

struct x86_cpu *x86_cpus[HAL_MAX_CPUS];
u8 x86_smap, x86_fsgsbase;
static struct hal_percpu pc;

struct hal_percpu *hal_percpu(void) { return &pc; }
u32 hal_cpu_id(void) { return pc.cpu; }
bool x86_has(enum x86_feature f) { return false; }
struct x86_cpuid x86_cpuid(u32 leaf, u32 sub) { abort(); }
void *upcall_alloc(size_t bytes) { return malloc(bytes); }
void upcall_free(void *p) { free(p); }

/* As in uaccess.asm, but for the fixup: nothing here is refused. */
bool x86_fpu_try_restore(void *area)
{
	__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"((u32)x86_xcr0), "d"(0) : "memory");
	return true;
}

/* XCR0 has what this system has switched on; x87 and SSE are enough. False: an old CPU, on which nothing is left out. */
static bool machine(void)
{
	u32 a, b, c, d;

	memset(&pc, 0, sizeof(pc));
	x86_xcr0 = LEGACY_FEATURES;
	x86_fpu_bytes = AREA_BYTES;
	x86_xsaveopt = 1;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) && __get_cpuid_count(0xd, 1, &a, &b, &c, &d) && (a & 1);
}

static u16 *fcw_of(struct hal_thread *t)
{
	return t->arch.fpu;
}

/* What is not among these has its initial state, whatever its bytes say. */
static u64 features_of(struct hal_thread *t)
{
	return *(u64 *)((u8 *)t->arch.fpu + HEADER);
}

/* What a program's signal frame has left in the area: restore_state_slow() in signal.c. */
static void fill(struct hal_thread *t, u16 fcw)
{
	u8 *area = t->arch.fpu;

	x86_fpu_reset_area(t);
	*fcw_of(t) = fcw;
	*(u32 *)(area + 24) = MXCSR_INITIAL;
	*(u64 *)(area + HEADER) = LEGACY_FEATURES;
}

static void out(struct hal_thread *t)
{
	struct hal_thread kernel;

	memset(&kernel, 0, sizeof(kernel));
	x86_fpu_switch(t, &kernel);
}

TEST(fpu_area_is_true_after_a_frame_was_loaded)
{
	struct hal_thread t;

	if (!machine())
		return;
	memset(&t, 0, sizeof(t));
	EXPECT(x86_fpu_alloc(&t) == 0);
	for (u32 i = 0; i < ROUNDS && !test_failed(); i++) {
		fill(&t, FCW_SINGLE);
		EXPECT(x86_fpu_load_area(&t) == 0);
		out(&t);
		EXPECT_EQ(*fcw_of(&t), FCW_SINGLE);
	}
	x86_fpu_reset(&t);
	x86_fpu_free(&t);
}

/* The same with a handler's fresh registers, and with what a child gets. */
TEST(fpu_area_is_true_after_a_reset)
{
	struct hal_thread t;

	if (!machine())
		return;
	memset(&t, 0, sizeof(t));
	EXPECT(x86_fpu_alloc(&t) == 0);
	for (u32 i = 0; i < ROUNDS && !test_failed(); i++) {
		fill(&t, FCW_SINGLE);
		x86_fpu_load(&t);
		x86_fpu_unload(&t);
		EXPECT_EQ(*fcw_of(&t), FCW_SINGLE);
		x86_fpu_reset(&t);
		out(&t);
		EXPECT(!(features_of(&t) & 1) || *fcw_of(&t) == FCW_INITIAL);
	}
	x86_fpu_free(&t);
}
