/* SPDX-License-Identifier: MIT */
/*
 * The life of an address space: made empty, copied by fork, run on, torn down.
 *
 * Which space a CPU runs on. `active_space` holds a reference (refs) on the space
 * whose tables the CPU walks. A kernel thread has none of its own and stays on what was there, lazily (hal/tlb.h): the
 * kernel half is the same everywhere. So when the last user of a space goes, the CPUs that still stand
 * on it keep the root table (which maps no user memory any more) until they switch to another
 * space, or the HAL has left it for them.
 *
 * Teardown needs no lock: with `users` at zero nobody can reach the areas, but for truncation, which
 * finds them through their objects; so every area leaves its object's interval tree before
 * the tables go.
 */
#include <kernel/core/cpuhp.h>
#include <kernel/core/percpu.h>
#include <kernel/core/preempt.h>
#include <kernel/core/smpcall.h>
#include <kernel/mm/pt.h>
#include <kernel/mm/slab.h>
#include <kernel/sched/sched.h>
#include <kernel/task/process.h>
#include <kernel/task/task.h>
#include <lib/string.h>

#include "internal.h"

static struct kmem_cache *space_cache;
static DEFINE_PER_CPU(struct vm_space *, active_space);
struct page *vm_zero_page;
bool vm_many_cpus;

void vm_init(void)
{
	space_cache = kmem_cache_create("vm_space", sizeof(struct vm_space), 0, NULL, 0);
	vm_zero_page = page_alloc(0, MM_ZERO);
	VERIFY(space_cache && vm_zero_page);
	table_cache_init();
	area_cache_init();
	object_cache_init();
	commit_init();
	process_space_get_hook = vm_space_get_not_zero;
	sched_space_switch_hook = vm_space_switch;
}

static struct vm_space *space_alloc(void)
{
	struct vm_space *s = kmem_cache_alloc(space_cache, 0);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	rwsem_init(&s->lock, "space", LOCK_RANK_SPACE);
	refcount_init(&s->users, 1);
	refcount_init(&s->refs, 1);
	hal_space_init(&s->hal);
	if (table_create_root(s)) {
		kmem_cache_free(space_cache, s);
		return NULL;
	}
	return s;
}

int vm_space_create(struct vm_space **out)
{
	struct vm_space *s = space_alloc();

	if (!s)
		return -ENOMEM;
	s->mmap_base = HAL_USER_END;
	*out = s;
	return 0;
}

void vm_space_get(struct vm_space *s)
{
	refcount_get(&s->users);
}

bool vm_space_get_not_zero(struct vm_space *s)
{
	return refcount_get_not_zero(&s->users);
}

void vm_space_hold(struct vm_space *s)
{
	refcount_get(&s->refs);
}

/* Any context: also from the switch, under the run queue's lock. */
static void space_put_ref(struct vm_space *s)
{
	if (!refcount_put_and_test(&s->refs))
		return;
	table_free_root(s);
	kmem_cache_free(space_cache, s);
}

void vm_space_release(struct vm_space *s)
{
	space_put_ref(s);
}

static void space_teardown(struct vm_space *s)
{
	struct vm_area *a, *next;

	rb_for_each_entry(a, &s->areas, node) {
		if (a->object)
			object_unlink_area(a);
	}
	table_free_all(s);
	rb_for_each_postorder_safe(a, next, &s->areas, node)
		area_free(a);
	s->areas.node = NULL;
	s->cached = NULL;
	commit_uncharge(s, (u64)atomic64_load(&s->committed));
}

void vm_space_put(struct vm_space *s)
{
	might_sleep();
	if (!refcount_put_and_test(&s->users))
		return;
	space_teardown(s);
	space_put_ref(s);
}

/* ---- who runs on what ---- */

struct vm_space *vm_current(void)
{
	struct task *t = task_current_or_null();

	return t && t->process ? READ_ONCE(t->process->space) : NULL;
}

static struct vm_space *thread_space(struct thread *t)
{
	struct process *p;

	if (!(t->flags & THREAD_USER))
		return NULL;
	p = thread_task(t)->process;
	return p ? READ_ONCE(p->space) : NULL;
}

/* Preemption off, and no interrupt may come in between that drops a lazy space. */
static void space_enter(struct vm_space *s)
{
	struct vm_space **active = this_cpu_ptr(&active_space);
	struct vm_space *old = *active;

	if (old == s) {
		if (unlikely(hal_space_is_lazy()))
			hal_space_resume(s->root, &s->hal);
		return;
	}
	refcount_get(&s->refs);
	*active = s;
	hal_space_activate(s->root, &s->hal);
	if (old)
		space_put_ref(old);
}

void vm_space_switch(struct thread *prev, struct thread *next)
{
	struct vm_space *s = thread_space(next);

	(void)prev;
	if (s)
		space_enter(s);
	else
		hal_space_set_lazy();
}

/* A CPU that is lazy already (a kernel thread's, or the stretch lies in another one) stays so: false. */
bool vm_quiet_enter(void)
{
	bool begins;

	preempt_disable();
	begins = !hal_space_is_lazy();
	if (begins)
		hal_space_set_quiet();
	preempt_enable();
	return begins;
}

/* Preemption off. This CPU has missed a flush, or has been made to leave the space. */
static noinline void quiet_catch_up(void)
{
	irqflags_t flags = hal_irq_save();
	struct vm_space *active = this_cpu(active_space), *s = thread_space(current_thread());

	if (!s)
		s = active;	/* a kernel thread that has activated one */
	if (s && s == active)
		hal_space_resume(s->root, &s->hal);
	else if (s)
		space_enter(s);
	hal_irq_restore(flags);
}

/*
 * Preemption is off so that nobody is switched to between the end of laziness and the look at the generation. When the thread has
 * been switched away meanwhile, and back, the stretch ended with that.
 */
void vm_quiet_leave(void)
{
	preempt_disable();
	if (unlikely(!hal_space_end_quiet()))
		quiet_catch_up();
	preempt_enable();
}

/* Interrupts off: drop_here() comes by one. */
void vm_space_activate(struct vm_space *s)
{
	irqflags_t flags = hal_irq_save();

	space_enter(s);
	hal_irq_restore(flags);
}

void vm_space_leave(void)
{
	struct vm_space **active, *old;

	preempt_disable();
	active = this_cpu_ptr(&active_space);
	old = *active;
	*active = NULL;
	if (old) {
		hal_space_activate(pt_kernel_root(), NULL);
		space_put_ref(old);
	}
	preempt_enable();
}

static void drop_here(void *arg)
{
	(void)arg;
	if (hal_space_is_lazy())
		vm_space_leave();
}

void vm_space_drop_lazy(void)
{
	smp_call_all(drop_here, NULL, true);
}

/* ---- CPUs that come and go ---- */

/* It stands on the kernel's own root from here on, in nobody's set. */
static void space_dying(u32 cpu)
{
	(void)cpu;
	vm_space_leave();
}

static void space_dead(u32 cpu)
{
	(void)table_cache_drain_cpu(cpu);
}

static void space_starting(u32 cpu)
{
	(void)cpu;
	WRITE_ONCE(vm_many_cpus, true);
}

const struct cpuhp_step vm_cpuhp = { .name = "vm", .starting = space_starting, .dying = space_dying, .dead = space_dead };

/* ---- fork ---- */

/*
 * The vDSO's pages are left for the child's faults, because most children never look at the clock. But not when one of
 * them is private: a debugger has put a breakpoint into the code.
 */
static bool fork_leaves_entries(struct vm_area *a)
{
	return a->object && a->object->flags & OBJECT_FIXED && !table_has_private(a);
}

/* What the copy c of the parent's area maps. */
static int fork_area(struct vm_area *a, struct vm_area *c)
{
	int err;

	if (c->flags & AREA_ACCOUNT) {
		err = commit_charge(c->space, area_pages(c));
		if (err)
			return err;
	}
	if (a->flags & AREA_WIPEONFORK || fork_leaves_entries(a))
		return 0;
	return table_copy_area(c->space, a);
}

/* Out with the placeholders of areas that the child does not get. */
static void fork_drop_unwanted(struct vm_space *child)
{
	struct vm_area *a = rb_entry_safe(rb_first(&child->areas), struct vm_area, node), *next;

	for (; a; a = next) {
		next = area_next(a);
		if (!(a->flags & AREA_DONTCOPY))
			continue;
		area_remove(a);
		area_free(a);
	}
	child->peak_total = child->total_pages;
}

/* The child's tree gets the parent's shape. */
static int fork_areas(struct vm_space *parent, struct vm_space *child)
{
	bool unwanted = false;
	struct rb_copy place;
	int err = 0;

	rb_for_each_copy(&place, &parent->areas, &child->areas) {
		struct vm_area *a = rb_entry(place.from, struct vm_area, node), *c = area_copy(child, &place);

		if (!c)
			return -ENOMEM;
		if (a->flags & AREA_DONTCOPY)
			unwanted = true;
		else
			err = fork_area(a, c);
		if (err)
			return err;
		if (__atomic_load_n(&current_thread()->fatal, __ATOMIC_RELAXED))
			return -EINTR;
	}
	if (unwanted)
		fork_drop_unwanted(child);
	return 0;
}

static void fork_layout(const struct vm_space *p, struct vm_space *c)
{
	c->mmap_base = p->mmap_base;
	c->mmap_legacy = p->mmap_legacy;
	c->start_code = p->start_code;
	c->end_code = p->end_code;
	c->start_data = p->start_data;
	c->end_data = p->end_data;
	c->start_brk = p->start_brk;
	c->brk = p->brk;
	c->start_stack = p->start_stack;
	c->membarrier = READ_ONCE(p->membarrier);
	c->arg_start = p->arg_start;
	c->arg_end = p->arg_end;
	c->env_start = p->env_start;
	c->env_end = p->env_end;
	c->nr_areas = p->nr_areas;
	c->total_pages = p->total_pages;
	c->peak_total = p->total_pages;
	c->data_pages = p->data_pages;
	c->stack_pages = p->stack_pages;
	c->exec_pages = p->exec_pages;
	memcpy(c->auxv, p->auxv, sizeof(c->auxv));
}

int vm_space_fork(struct vm_space *parent, struct vm_space **out)
{
	struct vm_space *child = space_alloc();
	bool quiet;
	int err;

	if (!child)
		return -ENOMEM;
	quiet = vm_quiet_begin();
	err = rwsem_write_lock_killable(&parent->lock);
	if (err)
		goto put_child;
	fork_layout(parent, child);
	err = fork_areas(parent, child);
	/* Writes of the parent must fault from here on. */
	tlb_flush_space(&parent->hal, 0, ~0ULL, TLB_PAGES);
	rwsem_write_unlock(&parent->lock);
	if (err)
		goto put_child;
	vm_quiet_end(quiet);
	*out = child;
	return 0;
put_child:
	vm_quiet_end(quiet);
	vm_space_put(child);
	return err;
}
