/* SPDX-License-Identifier: MIT */
/*
 * Page-table isolation's values of CR3 against a model of a TLB with PCIDs: whatever the order of switches of address space,
 * flushes, entries and ways out, user mode never meets a translation that is not its own or that was to be flushed; and
 * what need not be flushed is kept.
 */
#include "framework.h"
#include "pti_cr3.h"

#define ROOTS 4u
#define BARE 0x99000ull

/* What is cached under a PCID: the space it is of, and the generation of its tables. */
struct cached {
	u64 root;
	u32 gen;
};

struct model {
	struct x86_pti_cr3 c;
	struct cached pcid[2];
	u32 gen[ROOTS];
	u32 current;		/* space */
	u64 cr3;
	u32 kept, flushed;
};

static u64 kernel_root(u32 space)
{
	return 0x10000ull + space * 0x2000ull;
}

static void load(struct model *m, u64 cr3)
{
	u64 pcid = cr3 & 0xfff, root = cr3 & 0x000ffffffffff000ull;
	bool noflush = cr3 & X86_CR3_NOFLUSH;

	EXPECT(pcid <= 1 && (!noflush || m->c.noflush));	/* bit 63 is reserved without PCIDs */
	EXPECT((pcid == 1) == (m->c.noflush && ((root & X86_PTI_USER_ROOT) || root == BARE)));
	if (!noflush) {
		m->pcid[pcid] = (struct cached){ root, m->gen[m->current] };
		m->flushed++;
	} else {
		m->kept++;
		EXPECT_EQ(m->pcid[pcid].root, root);
		EXPECT_EQ(m->pcid[pcid].gen, m->gen[m->current]);
	}
	m->cr3 = root;
}

static void enter(struct model *m)
{
	load(m, m->c.kernel_cr3);
}

static void leave(struct model *m)
{
	m->c.user_cr3 = m->c.user_next;
	m->c.user_next |= m->c.noflush;
	load(m, m->c.user_cr3);
	EXPECT_EQ(m->cr3, kernel_root(m->current) | X86_PTI_USER_ROOT);
}

static void change_space(struct model *m, u32 space)
{
	m->current = space;
	load(m, kernel_root(space));		/* hal_space_activate() */
	x86_pti_cr3_set(&m->c, kernel_root(space), kernel_root(space) | X86_PTI_USER_ROOT);
}

/* hal_tlb_flush_local_all() */
static void flush(struct model *m)
{
	m->gen[m->current]++;
	load(m, m->cr3);
	x86_pti_cr3_flush(&m->c);
}

static void run(bool pcid)
{
	struct model m = { .c.noflush = pcid ? X86_CR3_NOFLUSH : 0 };

	x86_pti_cr3_set(&m.c, kernel_root(0), BARE);
	EXPECT_EQ(m.c.user_next, BARE | (pcid ? X86_PTI_USER_PCID : 0));
	m.cr3 = kernel_root(0);
	change_space(&m, 0);
	for (int i = 0; i < 20000 && !test_failed(); i++) {
		leave(&m);
		enter(&m);
		for (u64 n = random_u64() % 3; n > 0; n--) {
			u64 what = random_u64() % 8;

			if (what == 0)
				change_space(&m, random_u64() % ROOTS);
			else if (what == 1)
				flush(&m);
		}
	}
	EXPECT_EQ(m.kept != 0, pcid);
	EXPECT(!pcid || m.kept > m.flushed);
}

TEST(pti_cr3_with_pcid)
{
	run(true);
}

TEST(pti_cr3_without_pcid)
{
	run(false);
}
