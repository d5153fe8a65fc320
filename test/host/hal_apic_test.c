/* SPDX-License-Identifier: MIT */
/* The local APIC's setup against a made-up one that complains about registers nobody should touch. */
#include "apic.h"
#include "framework.h"

struct fake {
	u32 regs[0x400 / 16];
	u32 in_service;		/* vectors that firmware left, one EOI each */
	u32 eois;
	bool lvt_unmasked_while_disabled;
	u32 max_lvt;
};

static bool known(u32 reg)
{
	switch (reg) {
	case APIC_ID: case APIC_VERSION: case APIC_TPR: case APIC_EOI: case APIC_SVR: case APIC_ESR:
	case APIC_LVT_TIMER: case APIC_LVT_LINT0: case APIC_LVT_LINT1: case APIC_LVT_ERROR:
	case APIC_LVT_PERF: case APIC_LVT_THERMAL: case APIC_LVT_CMCI:
	case APIC_TIMER_INIT: case APIC_TIMER_NOW: case APIC_TIMER_DIV:
		return true;
	default:
		return reg >= APIC_ISR && reg < APIC_ISR + 0x80 && reg % 16 == 0;
	}
}

static u32 fake_read(void *ctx, u32 reg)
{
	struct fake *f = ctx;

	EXPECT(known(reg));
	if (reg == APIC_VERSION)
		return f->max_lvt << 16 | 0x14;
	if (reg == APIC_ISR + 0x30)
		return f->in_service ? 1 : 0;
	return f->regs[reg / 16];
}

static void fake_write(void *ctx, u32 reg, u32 v)
{
	struct fake *f = ctx;
	bool lvt = reg >= APIC_LVT_CMCI && reg <= APIC_LVT_ERROR && reg != 0x300 && reg != 0x310;

	EXPECT(known(reg) && reg != APIC_ID && reg != APIC_VERSION);
	if (reg == APIC_EOI) {
		f->eois++;
		if (f->in_service)
			f->in_service--;
	}
	if (reg == APIC_LVT_CMCI)
		EXPECT(f->max_lvt >= 6);
	if (reg == APIC_LVT_THERMAL)
		EXPECT(f->max_lvt >= 5);
	if (lvt && !(v & APIC_LVT_MASKED) && !(f->regs[APIC_SVR / 16] & APIC_SVR_ENABLE))
		f->lvt_unmasked_while_disabled = true;
	f->regs[reg / 16] = v;
}

static struct apic_io io_of(struct fake *f)
{
	return (struct apic_io){ fake_read, fake_write, f };
}

TEST(hal_apic_setup)
{
	struct fake f = { .max_lvt = 6 };
	struct apic_io io = io_of(&f);
	struct apic_lint lint = { .nmi_lints = 2 };

	f.regs[APIC_TPR / 16] = 0xff;
	EXPECT_EQ(apic_setup(&io, lint, 240, 254, 255), 6);
	EXPECT_EQ(f.regs[APIC_SVR / 16], 0x1ff);
	EXPECT_EQ(f.regs[APIC_TPR / 16], 0);
	EXPECT_EQ(f.regs[APIC_LVT_LINT0 / 16], APIC_LVT_MASKED);
	EXPECT_EQ(f.regs[APIC_LVT_LINT1 / 16], APIC_LVT_NMI);
	EXPECT_EQ(f.regs[APIC_LVT_TIMER / 16], APIC_LVT_MASKED | 240);
	EXPECT_EQ(f.regs[APIC_LVT_ERROR / 16], 254);
	EXPECT(!f.lvt_unmasked_while_disabled);
	EXPECT_EQ(f.eois, 0);
}

TEST(hal_apic_setup_old)
{
	struct fake f = { .max_lvt = 3 };
	struct apic_io io = io_of(&f);
	struct apic_lint lint = { .nmi_lints = 1, .active_low = 1, .level = 1 };

	EXPECT_EQ(apic_setup(&io, lint, 240, 254, 255), 3);
	EXPECT_EQ(f.regs[APIC_LVT_LINT0 / 16], APIC_LVT_NMI | APIC_LVT_ACTIVE_LOW | APIC_LVT_LEVEL);
	EXPECT_EQ(f.regs[APIC_LVT_LINT1 / 16], APIC_LVT_MASKED);
}

TEST(hal_apic_drains)
{
	struct fake f = { .max_lvt = 5, .in_service = 3 };
	struct fake never = { .max_lvt = 5, .in_service = 1000000 };
	struct apic_io io = io_of(&f), io2 = io_of(&never);
	struct apic_lint lint = { .nmi_lints = 2 };

	apic_setup(&io, lint, 240, 254, 255);
	EXPECT_EQ(f.eois, 3);
	apic_setup(&io2, lint, 240, 254, 255);
	EXPECT(never.eois <= 256);
}
