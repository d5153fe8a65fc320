/* SPDX-License-Identifier: MIT */
/*
 * KASAN's tests: each plants one bug and sees its report, and no other. As reports are captured, what was reported
 * happens all the same, so each test touches only memory that can bear it.
 *
 * hide() keeps gcc from seeing through the plant. Reads are used where a write would set off the slab's own checks later.
 */
#include <hal/uaccess.h>
#include <kernel/core/assert.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/slab.h>
#include <lib/string.h>
#include "kasan.h"
#include "slab.h"

#if HALCYON_KASAN

static noinline void *hide(const volatile void *p)
{
	void *volatile q = (void *)(uintptr_t)p;

	return q;
}

static noinline u8 read_at(const volatile void *p, s64 offset)
{
	return ((const volatile u8 *)hide(p))[offset];
}

/* One report of that kind, about an access of that kind. */
static void expect_one(const char *what, const char *how)
{
	report_capture_end();
	EXPECT_REPORT(what);
	EXPECT_REPORT(how);
	EXPECT_REPORTS(1);
}

SELFTEST(kasan, slab_out_of_bounds)
{
	u8 *p = kmalloc(13, MM_ZERO);

	REQUIRE(p);
	EXPECT_EQ(read_at(p, 12), 0);
	report_capture_begin();
	(void)read_at(p, 13);	/* the very next byte, in the same 8 bytes */
	expect_one("KASAN: slab-out-of-bounds", "read of 1 bytes");
	EXPECT_REPORT("13 bytes into object");
	EXPECT_REPORT("selftest_kasan_slab_out_of_bounds");	/* in the allocation's backtrace */
	report_capture_begin();
	(void)read_at(p, -1);
	expect_one("KASAN: slab-out-of-bounds", "read of 1 bytes");
	report_capture_begin();
	(void)*(volatile u32 *)hide(p + 10);	/* half in, half out */
	expect_one("KASAN: slab-out-of-bounds", "read of 4 bytes");
	kfree(p);
}

static noinline void free_here(void *p)
{
	kfree(p);
	barrier();
}

SELFTEST(kasan, slab_use_after_free)
{
	u8 *p = kmalloc(200, MM_ZERO);

	REQUIRE(p);
	free_here(p);
	report_capture_begin();
	(void)read_at(p, 100);
	expect_one("KASAN: slab-use-after-free", "read of 1 bytes");
	EXPECT_REPORT("100 bytes into object");
	EXPECT_REPORT("allocated:");
	EXPECT_REPORT("freed:");
	EXPECT_REPORT("free_here");
}

/* An object that was just freed is the last to be given out again. */
SELFTEST(kasan, quarantine_keeps)
{
	void *first = kmalloc(160, MM_KERNEL), *p;
	u64 objects, bytes;

	REQUIRE(first);
	preempt_disable();	/* this CPU's are asked for */
	kfree(first);
	quarantine_stats(&objects, &bytes);
	preempt_enable();
	EXPECT(objects > 0 && bytes >= 160);
	for (u32 i = 0; i < 500; i++) {
		p = kmalloc(160, MM_KERNEL);
		REQUIRE(p);
		EXPECT(p != first);
		kfree(p);
	}
	mm_drain();
	quarantine_stats(&objects, &bytes);
	EXPECT(objects < 8);	/* who was interrupted, and log lines */
}

SELFTEST(kasan, typesafe_objects_may_be_read)
{
	struct kmem_cache *c = kmem_cache_create("test-kasan-rcu", 64, 0, NULL, SLAB_TYPESAFE_BY_RCU);
	u8 *p;

	REQUIRE(c);
	p = kmem_cache_alloc(c, MM_ZERO);
	REQUIRE(p);
	report_capture_begin();
	rcu_read_lock();
	kmem_cache_free(c, p);
	(void)read_at(p, 8);
	report_capture_end();
	EXPECT_REPORTS(0);
	(void)read_at(p, 16);
	rcu_read_unlock();
	kmem_cache_destroy(c);
}

SELFTEST(kasan, sizes_follow_krealloc)
{
	u8 *p = kmalloc(40, MM_ZERO);

	REQUIRE(p);
	p = krealloc(p, 20, MM_KERNEL);
	EXPECT(kasan_allows(p, 20) && !kasan_allows(p, 21));
	p = krealloc(p, 48, MM_KERNEL);
	REQUIRE(p);
	EXPECT(kasan_allows(p, 48) && !kasan_allows(p, 49));
	EXPECT(kasan_allows(p, kmalloc_usable(p)));
	kfree(p);
	EXPECT(!kasan_allows(p, 1));
}

SELFTEST(kasan, pages)
{
	u8 *big = kmalloc(5 * PAGE_SIZE + 1, MM_KERNEL);
	struct page *page = page_alloc(1, MM_KERNEL);
	u8 *p;

	REQUIRE(big && page);
	EXPECT(kasan_allows(big, 5 * PAGE_SIZE + 1));
	report_capture_begin();
	(void)read_at(big, 5 * PAGE_SIZE + 1);
	expect_one("KASAN: page-out-of-bounds", "read of 1 bytes");
	kfree(big);
	p = page_address(page);
	EXPECT(kasan_allows(p, 2 * PAGE_SIZE));
	page_free(page);
	report_capture_begin();
	(void)read_at(p, PAGE_SIZE + 7);
	expect_one("KASAN: page-use-after-free", "read of 1 bytes");
	EXPECT_REPORT("freed:");
}

SELFTEST(kasan, vmalloc)
{
	u8 *p = vmalloc(PAGE_SIZE + 100, MM_ZERO);

	REQUIRE(p);
	EXPECT(kasan_allows(p, PAGE_SIZE + 100));
	report_capture_begin();
	(void)read_at(p, PAGE_SIZE + 100);
	expect_one("KASAN: vmalloc-out-of-bounds", "read of 1 bytes");
	vfree(p);
}

SELFTEST(kasan, freed_stack)
{
	vaddr_t base;

	REQUIRE(kmap_stack_alloc(&base) == 0);
	EXPECT(kasan_allows((void *)base, KSTACK_SIZE));
	kmap_stack_free(base);
	report_capture_begin();
	(void)read_at((void *)base, 1000);
	expect_one("KASAN: freed-stack-use", "read of 1 bytes");
}

SELFTEST(kasan, stack_out_of_bounds)
{
	volatile u8 victim[20];
	volatile u8 *p = hide(victim);

	p[19] = 1;
	report_capture_begin();
	(void)read_at(p, 20);
	expect_one("KASAN: stack-out-of-bounds", "read of 1 bytes");
	EXPECT_REPORT("\"victim");
	report_capture_begin();
	(void)read_at(p, -1);
	expect_one("KASAN: stack-out-of-bounds", "read of 1 bytes");
}

SELFTEST(kasan, stack_use_after_scope)
{
	volatile u8 *p;

	{
		volatile u8 inner[16];

		p = hide(inner);
		p[3] = 7;
	}
	report_capture_begin();
	(void)read_at(p, 3);
	expect_one("KASAN: stack-use-after-scope", "read of 1 bytes");
}

static u8 global_victim[10] = { 1 };

SELFTEST(kasan, global_out_of_bounds)
{
	EXPECT_EQ(read_at(global_victim, 0), 1);
	report_capture_begin();
	(void)read_at(global_victim, 10);
	expect_one("KASAN: global-out-of-bounds", "read of 1 bytes");
	EXPECT_REPORT("global_victim");
}

/* What assembly does is looked at by its wrappers. */
SELFTEST(kasan, ranges)
{
	u8 *p = kmalloc(24, MM_ZERO), *q = kmalloc(64, MM_ZERO);
	uptr_t nowhere = { HAL_USER_FIRST };
	size_t n = (size_t)(uintptr_t)hide((void *)25);

	REQUIRE(p && q);
	report_capture_begin();
	memcpy(q, hide(p), n);
	expect_one("KASAN: slab-out-of-bounds", "read of 25 bytes");
	report_capture_begin();
	memmove(q, hide(p), n);
	expect_one("KASAN: slab-out-of-bounds", "read of 25 bytes");
	report_capture_begin();
	EXPECT_EQ(hal_copy_to_user(nowhere, hide(p), 30), 30);
	expect_one("KASAN: slab-out-of-bounds", "read of 30 bytes");
	report_capture_begin();
	EXPECT_EQ(hal_copy_from_user(hide(p), nowhere, 30), 30);
	expect_one("KASAN: slab-out-of-bounds", "write of 30 bytes");
	report_capture_begin();
	memset(q, 'a', 64);
	EXPECT(strlen(hide(q)) >= 64);
	report_capture_end();
	EXPECT_REPORT("KASAN: slab-out-of-bounds");
	kfree(p);
	kfree(q);
}

SELFTEST(kasan, depot_keeps_each_once)
{
	vaddr_t frames[4];
	u32 a = 0, b = 0;

	for (volatile u32 i = 0; i < 2; i++) {
		b = a;
		a = stack_depot_save();
	}
	EXPECT(a && a == b);
	EXPECT(stack_depot_fetch(a, frames, ARRAY_SIZE(frames)) == ARRAY_SIZE(frames));
	EXPECT_EQ(stack_depot_fetch(0, frames, 4), 0);
	EXPECT_EQ(stack_depot_fetch(~0u, frames, 4), 0);
}

DEATHTEST(kasan_null, "null pointer dereference: access")
{
	(void)*(volatile u32 *)hide((void *)8);
}

DEATHTEST(kasan_user, "access to user memory outside of a copy: access")
{
	(void)*(volatile u32 *)hide((void *)0x7fff12345678ull);
}

DEATHTEST(kasan_report, "KASAN: slab-use-after-free: write of 4 bytes")
{
	volatile u32 *p = hide(kmalloc(64, MM_KERNEL));

	kfree((void *)(uintptr_t)p);
	p[3] = 1;
}

#endif

#if HALCYON_DEBUG

static noinline u8 byte_of(volatile u8 *p)
{
	return p[5];
}

/* -ftrivial-auto-var-init=pattern: what is not set is no accident of what ran before. */
SELFTEST(poison, stack_variables)
{
	volatile u8 never_set[32];

	EXPECT_EQ(byte_of(never_set), 0xfe);
}

/* The red zone begins at the byte behind what was asked for, whatever the class of kmalloc. */
__no_kasan DEATHTEST(slab_overflow_by_one, "red zone was overwritten")
{
	volatile u8 *p = kmalloc(100, MM_KERNEL);

	p[100] = 1;
	kfree((void *)(uintptr_t)p);
}

/* Blocks are looked at like single pages. */
__no_kasan DEATHTEST(page_block_use_after_free, "was written to")
{
	struct page *page = page_alloc(2, MM_KERNEL);

	VERIFY(page);
	page_free(page);
	((volatile u8 *)page_address(page))[2 * PAGE_SIZE + 9] = 1;
	for (u32 i = 0; i < 1000; i++)
		(void)page_alloc(2, MM_KERNEL);
}

#endif
