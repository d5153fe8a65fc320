/* SPDX-License-Identifier: MIT */
/*
 * The vm layer's own self tests as a Linux program (hal/host), under sanitizers. What vm needs of the layers
 * between mm and itself is small and stands in here: a read-write lock that checks how it is used,
 * a calling thread without a process, and no user memory but what the tests reach through their spaces.
 */
#include <abi/linux/mman.h>
#include <hal/vdso.h>
#include <kernel/sched/clock.h>
#include <kernel/core/assert.h>
#include <kernel/core/cmdline.h>
#include <kernel/core/log.h>
#include <kernel/core/percpu.h>
#include <kernel/core/random.h>
#include <kernel/core/rcu.h>
#include <kernel/core/selftest.h>
#include <kernel/core/symbols.h>
#include <kernel/mm/kmap.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/mutex.h>
#include <kernel/sched/sched.h>
#include <kernel/task/cred.h>
#include <kernel/task/process.h>
#include <kernel/task/rlimit.h>
#include <kernel/vm/space.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#undef EXPECT
#undef EXPECT_EQ
#include "framework.h"
#include "host.h"

#define ARENA_FIRST	(16 * MIB)
#define ARENA_BYTES	(32 * MIB)

/* What the linker and tools/ksyms.py give the real kernel. */
extern const u32 __ksyms_count;
extern const u32 __ksyms_offsets[1], __ksyms_names[1];
extern const char __ksyms_strings[1];
extern const char __kernel_start[1], __text_start[1], __text_end[1];
const u32 __ksyms_count = 0;
const u32 __ksyms_offsets[1], __ksyms_names[1];
const char __ksyms_strings[1], __kernel_start[1], __text_start[1], __text_end[1];

/* ---- a lock of one thread: each use must fit what is held ---- */

#define HELD_WRITE	UINT64_MAX

void rwsem_init(struct rwsem *s, const char *name, u32 rank)
{
	(void)name;
	(void)rank;
	s->count = 0;
}

void rwsem_read_lock(struct rwsem *s)
{
	VERIFY(s->count == 0);		/* read sections do not nest */
	s->count = 1;
}

void rwsem_read_unlock(struct rwsem *s)
{
	VERIFY(s->count == 1);
	s->count = 0;
}

void rwsem_write_lock(struct rwsem *s)
{
	VERIFY(s->count == 0 && !in_atomic());
	s->count = HELD_WRITE;
}

int rwsem_write_lock_killable(struct rwsem *s)
{
	rwsem_write_lock(s);
	return 0;
}

void rwsem_write_unlock(struct rwsem *s)
{
	VERIFY(s->count == HELD_WRITE);
	s->count = 0;
}

void rwsem_downgrade(struct rwsem *s)
{
	VERIFY(s->count == HELD_WRITE);
	s->count = 1;
}

/* ---- a kernel thread, held to no limit ---- */

void (*sched_space_switch_hook)(struct thread *prev, struct thread *next);
bool (*process_space_get_hook)(struct vm_space *space);

void schedule(void)
{
}

/* No user mode, no vDSO. */
const void *hal_vdso_image(size_t *bytes)
{
	*bytes = 0;
	return NULL;
}

void clock_publish(struct hal_vvar *page)
{
	(void)page;
}

bool capable(int cap)
{
	return true;
}

u64 rlimit_current(unsigned int which)
{
	return RLIM64_INFINITY;
}

struct process *current_process(void)
{
	return NULL;
}

size_t hal_copy_from_user(void *dst, uptr_t src, size_t n)
{
	return n;
}

size_t hal_copy_to_user(uptr_t dst, const void *src, size_t n)
{
	return n;
}

size_t hal_clear_user(uptr_t dst, size_t n)
{
	return n;
}

int hal_user_load_u8(uptr_t p, u8 *v)
{
	*v = 0;
	return -EFAULT;
}

size_t hal_strnlen_user(uptr_t src, size_t max)
{
	return 0;
}

/* ---- */

static void pass_scheduler(void)
{
	irqflags_t f = hal_irq_save();

	hal_preempt_clear_need_resched();
	rcu_quiescent();
	rcu_poll();
	hal_irq_restore(f);
	if (!in_atomic())
		rcu_run_callbacks();
}

static void boot(void)
{
	static const char cmdline[] = "selftest=vm panic=halt";
	static struct thread self;

	host_machine_init(ARENA_FIRST, ARENA_BYTES);
	log_init();
	cmdline_init(cmdline, sizeof(cmdline) - 1);
	log_setup();
	panic_setup();
	symbols_init();
	mm_boot_add_ram(ARENA_FIRST + PAGE_SIZE, ARENA_BYTES - PAGE_SIZE);
	mm_init();
	slab_init();
	kmap_init();
	rcu_init();
	random_init("seed", 4);
	hal_set_current(&self);
	preempt_schedule_hook = pass_scheduler;
	preempt_enable_no_resched();
	hal_irq_enable();
	vm_init();
}

TEST(the_vm_layers_own_tests)
{
	boot();
	EXPECT_EQ(selftest_run("vm"), 0);
	if (test_failed())
		host_console_show();
}

#define FAR	(3ull << 39)	/* below a top-level entry of its own */
#define FARTHER	(5ull << 39)

/* The second root of the pair has the first one's user half. How many entries that is. */
static u32 expect_pair(const struct vm_space *s)
{
	const hal_pte_t *root = hal_phys_to_virt(s->root);
	u32 present = 0;

	for (u32 i = 0; i < HAL_PT_KERNEL_FIRST; i++) {
		EXPECT_EQ(root[HAL_PT_ENTRIES + i].v, root[i].v);
		present += hal_pte_present(root[i]);
	}
	return present;
}

static void touch(struct vm_space *s, vaddr_t at)
{
	struct vm_map_request req = {
		.addr = at, .len = PAGE_SIZE, .prot = PROT_READ | PROT_WRITE, .flags = MAP_ANONYMOUS | MAP_FIXED | MAP_PRIVATE,
	};
	u32 v = 7;

	EXPECT_EQ(vm_map(s, &req, &at), 0);
	EXPECT_EQ(vm_access_remote(s, at, &v, sizeof(v), true, false), sizeof(v));
}

/* With page-table isolation a top-level entry that goes must go from both roots: its table is other memory at once. */
TEST(the_users_root_follows)
{
	struct vm_space *s;

	EXPECT_EQ(vm_space_create(&s), 0);
	EXPECT_EQ(expect_pair(s), 0);
	touch(s, FAR);
	touch(s, FARTHER);
	EXPECT_EQ(expect_pair(s), 2);
	EXPECT_EQ(vm_unmap(s, FAR, PAGE_SIZE), 0);
	EXPECT_EQ(expect_pair(s), 1);
	touch(s, FAR);
	EXPECT_EQ(expect_pair(s), 2);
	EXPECT_EQ(vm_unmap(s, 0, 9ull << 39), 0);
	EXPECT_EQ(expect_pair(s), 0);
	vm_space_put(s);
}
