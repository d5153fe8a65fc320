/* SPDX-License-Identifier: MIT */
/* Objects: reading, writing, holes, truncation under mappings; iterators of all kinds. */
#include <kernel/core/selftest.h>
#include <lib/string.h>

#include "internal.h"

#define BASE 0x60000000ULL

static bool map_object(struct vm_space *s, struct vm_object *obj, vaddr_t at, u64 pages, u32 flags)
{
	struct vm_map_request req = {
		.addr = at, .len = pages * PAGE_SIZE, .prot = PROT_READ | PROT_WRITE,
		.flags = MAP_FIXED | flags, .object = obj,
	};

	return EXPECT_EQ(vm_map(s, &req, &at), 0);
}

static ssize_t write_at(struct vm_object *obj, u64 pos, const void *buf, size_t n)
{
	struct iter it;

	iter_init_kernel(&it, ITER_SOURCE, buf, n);
	return vm_object_write(obj, &it, &pos);
}

static ssize_t read_at(struct vm_object *obj, u64 pos, void *buf, size_t n)
{
	struct iter it;

	iter_init_kernel(&it, ITER_DEST, buf, n);
	return vm_object_read(obj, &it, &pos);
}

SELFTEST(vm, object_reads_what_was_written)
{
	struct vm_object *obj = vm_object_create_anon(0, true);
	char buf[32];

	REQUIRE(obj);
	/* Over a page boundary, behind a hole. */
	EXPECT_EQ(write_at(obj, 3 * PAGE_SIZE - 5, "0123456789", 10), 10);
	EXPECT_EQ(vm_object_size(obj), 3 * PAGE_SIZE + 5);
	EXPECT_EQ(obj->nr_pages, 2);
	EXPECT_EQ(read_at(obj, 3 * PAGE_SIZE - 5, buf, sizeof(buf)), 10);
	EXPECT(!memcmp(buf, "0123456789", 10));
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(read_at(obj, 100, buf, 8), 8);
	EXPECT_EQ(buf[0] | buf[7], 0);
	EXPECT_EQ(read_at(obj, 3 * PAGE_SIZE + 5, buf, 8), 0);
	EXPECT_EQ(vm_object_seek(obj, 0, true), 2 * PAGE_SIZE);
	EXPECT_EQ(vm_object_seek(obj, 5, false), 5);
	EXPECT_EQ(vm_object_seek(obj, 2 * PAGE_SIZE, false), 3 * PAGE_SIZE + 5);
	EXPECT_EQ(vm_object_seek(obj, 4 * PAGE_SIZE, true), -ENXIO);
	obj->size = 0;		/* what was committed at its creation */
	vm_object_put(obj);
}

SELFTEST(vm, truncate_unmaps)
{
	struct vm_object *obj = vm_object_create_anon(8 * PAGE_SIZE, true);
	u64 pages = vm_object_total_pages();
	struct vm_space *s;
	u8 byte = 7;

	REQUIRE(obj);
	REQUIRE(!vm_space_create(&s));
	map_object(s, obj, BASE, 8, MAP_SHARED);
	map_object(s, obj, BASE + 16 * PAGE_SIZE, 8, MAP_PRIVATE);
	EXPECT_EQ(vm_access_remote(s, BASE + 3 * PAGE_SIZE + 100, &byte, 1, true, false), 1);
	EXPECT_EQ(vm_access_remote(s, BASE + 3 * PAGE_SIZE + 200, &byte, 1, true, false), 1);
	EXPECT_EQ(vm_access_remote(s, BASE + 6 * PAGE_SIZE, &byte, 1, true, false), 1);
	EXPECT_EQ(vm_access_remote(s, BASE + 22 * PAGE_SIZE, &byte, 1, true, false), 1);
	EXPECT_EQ(vm_object_total_pages(), pages + 2);
	vm_object_truncate(obj, 3 * PAGE_SIZE + 150);
	EXPECT_EQ(vm_object_total_pages(), pages + 1);
	EXPECT_EQ(vm_fault(s, BASE + 6 * PAGE_SIZE, VM_ACCESS_READ), VM_FAULT_BUS_ADRERR);
	EXPECT_EQ(vm_fault(s, BASE + 22 * PAGE_SIZE, VM_ACCESS_READ), VM_FAULT_BUS_ADRERR);
	EXPECT_EQ(vm_access_remote(s, BASE + 3 * PAGE_SIZE + 100, &byte, 1, false, false), 1);
	EXPECT_EQ(byte, 7);
	EXPECT_EQ(vm_access_remote(s, BASE + 3 * PAGE_SIZE + 200, &byte, 1, false, false), 1);
	EXPECT_EQ(byte, 0);
	EXPECT_EQ(vm_space_rss(s), 1);
	obj->size = 8 * PAGE_SIZE;
	vm_space_put(s);
	vm_object_put(obj);
	EXPECT_EQ(vm_object_total_pages(), pages);
}

SELFTEST(vm, punch_keeps_private_copies)
{
	struct vm_object *obj = vm_object_create_anon(4 * PAGE_SIZE, true);
	struct vm_space *s;
	u8 byte = 9;

	REQUIRE(obj);
	REQUIRE(!vm_space_create(&s));
	map_object(s, obj, BASE, 4, MAP_SHARED);
	map_object(s, obj, BASE + 8 * PAGE_SIZE, 4, MAP_PRIVATE);
	EXPECT_EQ(vm_access_remote(s, BASE + PAGE_SIZE, &byte, 1, true, false), 1);
	EXPECT_EQ(vm_access_remote(s, BASE + 9 * PAGE_SIZE + 1, &byte, 1, true, false), 1);
	vm_object_punch(obj, PAGE_SIZE, 2 * PAGE_SIZE);
	EXPECT_EQ(vm_access_remote(s, BASE + PAGE_SIZE, &byte, 1, false, false), 1);
	EXPECT_EQ(byte, 0);
	EXPECT_EQ(vm_access_remote(s, BASE + 9 * PAGE_SIZE, &byte, 1, false, false), 1);
	EXPECT_EQ(byte, 9);
	vm_space_put(s);
	vm_object_put(obj);
}

SELFTEST(vm, read_fault_maps_neighbours)
{
	struct vm_object *obj = vm_object_create_anon(64 * PAGE_SIZE, true);
	struct vm_space *s;

	REQUIRE(obj);
	REQUIRE(!vm_space_create(&s));
	EXPECT_EQ(vm_object_allocate(obj, 0, 20 * PAGE_SIZE), 0);
	map_object(s, obj, BASE, 64, MAP_PRIVATE);
	EXPECT_EQ(vm_fault(s, BASE + 17 * PAGE_SIZE, VM_ACCESS_READ), VM_FAULT_OK);
	EXPECT_EQ(vm_space_rss(s), 4);		/* 16..19 of the window are cached */
	EXPECT_EQ(vm_fault(s, BASE, VM_ACCESS_READ), VM_FAULT_OK);
	EXPECT_EQ(vm_space_rss(s), 20);
	vm_space_put(s);
	vm_object_put(obj);
}

SELFTEST(vm, iterators)
{
	char a[8] = "", b[8] = "", c[4] = "";
	struct iter_seg segs[4] = {
		{ (u64)(uintptr_t)a, 3 }, { 0, 0 }, { (u64)(uintptr_t)b, 5 }, { (u64)(uintptr_t)c, 2 },
	};
	struct iter_page pages[2];
	struct iter it;
	char back[16];

	iter_init_segs(&it, ITER_KERNEL_VEC, ITER_DEST, segs, 4, 10);
	EXPECT_EQ(iter_copy_to(&it, "abcd", 4), 4);
	EXPECT(!memcmp(a, "abc", 3) && b[0] == 'd');
	iter_revert(&it, 2);
	EXPECT_EQ(iter_count(&it), 8);
	EXPECT_EQ(iter_copy_to(&it, "XYZ", 3), 3);
	EXPECT(a[2] == 'X' && b[0] == 'Y' && b[1] == 'Z');
	iter_advance(&it, 4);
	EXPECT_EQ(iter_zero(&it, 100), 1);
	EXPECT_EQ(iter_copy_to(&it, "q", 1), 0);
	iter_revert(&it, 10);
	it.dir = ITER_SOURCE;
	EXPECT_EQ(iter_copy_from(&it, back, 16), 10);
	EXPECT(!memcmp(back, "abXYZ", 5));

	pages[0].page = page_alloc(0, MM_ZERO);
	pages[1].page = page_alloc(0, MM_ZERO);
	REQUIRE(pages[0].page && pages[1].page);
	pages[0].offset = PAGE_SIZE - 2;
	pages[0].len = 2;
	pages[1].offset = 0;
	pages[1].len = 3;
	iter_init_pages(&it, ITER_DEST, pages, 2, 5);
	EXPECT_EQ(iter_copy_to(&it, "12345", 5), 5);
	EXPECT(!memcmp(page_address(pages[1].page), "345", 3));
	page_put(pages[0].page);
	page_put(pages[1].page);
}
