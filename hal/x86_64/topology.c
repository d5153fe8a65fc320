/* SPDX-License-Identifier: MIT */
/*
 * Where each CPU sits, out of CPUID.
 *
 * An APIC id is a word of bit fields: thread, core, (module, tile,) die, package from the bottom. Leaf 1Fh, or the older 0Bh,
 * gives the width of each field (SDM vol. 3A 8.9.3, vol. 2A CPUID). AMD (and Hygon) before such leaves: 8000_0008h gives
 * the width of the core field, 8000_001Eh the threads in a core (APM vol. 3 E.4.7, E.4.17). Before all of that: leaf
 * 4 and the number of logical processors of leaf 1. CPUs that share a cache have the same id above the bits that leaf
 * 4, or AMD's 8000_001Dh in the same format, says (rounded up to a power of two).
 *
 * CPUID tells about the CPU that executes it, so each one records itself when it starts. All of them run at once: each writes
 * its own slot only.
 *
 * A hypervisor may answer with anything: fields of no width, sizes of 0, levels in any order. Nothing here divides by what
 * a leaf says, or shifts by it, without a look; what is nonsense groups CPUs oddly and does no other harm.
 */
#include <hal/numa.h>
#include <hal/topology.h>
#include <lib/string.h>
#include "cpu_state.h"
#include "x86.h"

#define LEVEL_SMT	1u	/* types of a level in leaves 0Bh and 1Fh */
#define LEVEL_CORE	2u
#define LEVEL_DIE	5u
#define LEVELS_MAX	8u
#define CACHES_MAX	6u
#define AMD_TOPOEXT	(1u << 22)	/* CPUID 8000_0001h, ECX */

struct widths {
	u32 core;	/* bits below the core's field */
	u32 die;	/* ... the die's */
	u32 package;	/* ... the package's */
};

struct cpu_place {
	struct hal_topology t;
	struct hal_cache cache[CACHES_MAX];
	u32 nr_caches;
	u32 microcode;
	bool known;	/* [a] the CPU has recorded itself */
};

static struct cpu_place *places[HAL_MAX_CPUS];	/* [I] once that CPU is prepared */
static struct cpu_place boot_place;

static bool amd_leaves(void)
{
	return x86_vendor_is("AuthenticAMD") || x86_vendor_is("HygonGenuine");
}

/* Bits that so many ids take. */
static u32 bits_for(u32 count)
{
	u32 bits = 0;

	while (bits < 31 && (1u << bits) < count)
		bits++;
	return bits;
}

static bool leaf_levels(u32 leaf, struct widths *w)
{
	bool core = false, die = false;

	if (!x86_has_leaf(leaf) || !(x86_cpuid(leaf, 0).b & 0xffff))
		return false;
	*w = (struct widths){ 0, 0, 0 };
	for (u32 i = 0; i < LEVELS_MAX; i++) {
		struct x86_cpuid r = x86_cpuid(leaf, i);
		u32 type = (r.c >> 8) & 0xff, shift = r.a & 31;

		if (!type || !(r.b & 0xffff))
			break;
		if (type == LEVEL_SMT)
			w->core = shift;
		/* What stands between core and die (modules, tiles) belongs to the core's number. */
		if (type < LEVEL_DIE)
			w->die = shift;
		core |= type == LEVEL_CORE;
		die |= type >= LEVEL_DIE;
		w->package = shift;
	}
	if (!die)
		w->die = w->package;
	return core || w->package;
}

/* Before leaf 0Bh: the number of ids in a package, and in a core. */
static void old_widths(struct widths *w)
{
	u32 logical = (x86_cpuid(1, 0).d >> 28 & 1) ? (x86_cpuid(1, 0).b >> 16) & 0xff : 1;
	u32 cores = 1, threads = 1;

	if (amd_leaves() && x86_has_leaf(0x80000008)) {
		u32 c = x86_cpuid(0x80000008, 0).c, bits = (c >> 12) & 15;

		w->package = bits ? bits : bits_for((c & 0xff) + 1);
		if (x86_has_leaf(0x8000001e) && (x86_cpuid(0x80000001, 0).c & AMD_TOPOEXT))
			threads = ((x86_cpuid(0x8000001e, 0).b >> 8) & 0xff) + 1;
		w->core = bits_for(threads);
		w->die = w->package = MAX(w->package, w->core);
		return;
	}
	if (x86_has_leaf(4))
		cores = (x86_cpuid(4, 0).a >> 26) + 1;
	threads = MAX(logical / cores, 1u);
	w->core = bits_for(threads);
	w->die = w->package = w->core + bits_for(cores);
}

/* ---- caches ------------------------------------------------------------------------------------ */

static u32 cache_leaf(void)
{
	if (amd_leaves())
		return x86_has_leaf(0x8000001d) && (x86_cpuid(0x80000001, 0).c & AMD_TOPOEXT) ? 0x8000001d : 0;
	return x86_has_leaf(4) ? 4 : 0;
}

static void record_caches(struct cpu_place *p)
{
	static const char types[4] = { 0, 'D', 'I', 'U' };
	u32 leaf = cache_leaf();

	for (u32 i = 0; leaf && i < CACHES_MAX; i++) {
		struct x86_cpuid r = x86_cpuid(leaf, i);
		struct hal_cache *c = &p->cache[p->nr_caches];
		u32 type = r.a & 31, shift = bits_for(((r.a >> 14) & 0xfff) + 1);

		if (!type || type > 3)
			break;
		*c = (struct hal_cache){
			.level = (u8)((r.a >> 5) & 7), .type = types[type], .id = p->t.apic_id >> shift,
			.line_bytes = (r.b & 0xfff) + 1, .partitions = ((r.b >> 12) & 0x3ff) + 1, .ways = (r.b >> 22) + 1,
			.sets = r.c + 1,
		};
		c->bytes = (u64)c->line_bytes * c->partitions * c->ways * c->sets;
		p->nr_caches++;
	}
}

/* The last level's; without a word about caches a package is taken for one. */
static u32 last_cache_id(const struct cpu_place *p)
{
	const struct hal_cache *last = NULL;

	for (u32 i = 0; i < p->nr_caches; i++)
		if (p->cache[i].type != 'I' && (!last || p->cache[i].level > last->level))
			last = &p->cache[i];
	return last && last->level > 1 ? last->id : p->t.package;
}

static void add_cache(struct cpu_place *p, struct hal_cache c, u32 shift)
{
	if (!c.bytes || !c.ways || p->nr_caches >= CACHES_MAX)
		return;
	c.id = p->t.apic_id >> shift;
	c.sets = (u32)(c.bytes / ((u64)c.line_bytes * c.ways));
	c.partitions = 1;
	p->cache[p->nr_caches++] = c;
}

/* Ways by the four-bit code of 8000_0006h (APM vol. 3, table E-4); fully associative counts as so many ways as lines. */
static u32 amd_ways(u32 code, u64 lines)
{
	static const u8 ways[16] = { 1, 1, 2, 3, 4, 6, 8, 8, 16, 16, 32, 48, 64, 96, 128, 0 };

	return ways[code & 15] ? ways[code & 15] : (u32)lines;
}

/* AMD before 8000_001Dh (APM vol. 3 E.4.3, E.4.4): first level and second of each core, the third of the package. */
static void record_caches_amd(struct cpu_place *p, const struct widths *w)
{
	struct x86_cpuid r;

	if (x86_has_leaf(0x80000005)) {
		r = x86_cpuid(0x80000005, 0);
		for (u32 i = 0; i < 2; i++) {
			u32 v = i ? r.d : r.c, ways = (v >> 16) & 0xff, line = MAX(v & 0xffu, 1u);
			u64 bytes = (u64)(v >> 24) * KIB;

			add_cache(p, (struct hal_cache){ .level = 1, .type = i ? 'I' : 'D', .line_bytes = line, .bytes = bytes,
							 .ways = ways == 0xff || !ways ? (u32)(bytes / line) : ways }, w->core);
		}
	}
	if (!x86_has_leaf(0x80000006))
		return;
	r = x86_cpuid(0x80000006, 0);
	for (u32 i = 0; i < 2; i++) {
		u32 v = i ? r.d : r.c, line = MAX(v & 0xffu, 1u);
		u64 bytes = i ? (u64)(v >> 18) * 512 * KIB : (u64)(v >> 16) * KIB;

		add_cache(p, (struct hal_cache){ .level = (u8)(2 + i), .type = 'U', .line_bytes = line, .bytes = bytes,
						 .ways = amd_ways(v >> 12, bytes / line) }, i ? w->package : w->core);
	}
}

/* ---- the record -------------------------------------------------------------------------------- */

static u32 field(u32 id, u32 low, u32 high)
{
	u32 width = high - low;

	return width >= 32 ? id >> low : (id >> low) & ((1u << width) - 1);
}

static void place_by_id(struct hal_topology *t, u32 apic_id, const struct widths *w)
{
	t->apic_id = apic_id;
	t->thread = field(apic_id, 0, w->core);
	t->core = field(apic_id, w->core, w->die);
	t->die = field(apic_id, w->die, w->package);
	t->package = w->package < 32 ? apic_id >> w->package : 0;
}

int x86_topology_prepare(u32 cpu)
{
	struct cpu_place *p = cpu ? upcall_alloc(sizeof(*p)) : &boot_place;

	if (!p)
		return -1;
	memset(p, 0, sizeof(*p));
	places[cpu] = p;
	return 0;
}

void x86_topology_record(u32 cpu)
{
	struct cpu_place *p = places[cpu];
	struct widths w;

	if (p->known)
		return;
	if (!leaf_levels(0x1f, &w) && !leaf_levels(0x0b, &w))
		old_widths(&w);
	w.die = MAX(w.die, w.core);
	w.package = MAX(w.package, w.die);
	place_by_id(&p->t, hal_percpu_of(cpu)->apic_id, &w);
	p->nr_caches = 0;
	record_caches(p);
	if (!p->nr_caches && amd_leaves())
		record_caches_amd(p, &w);
	p->microcode = x86_microcode_revision();
	p->t.llc_id = last_cache_id(p);
	smp_store_release(&p->known, true);
}

void hal_cpu_topology(u32 cpu, struct hal_topology *out)
{
	const struct cpu_place *p = cpu < HAL_MAX_CPUS ? READ_ONCE(places[cpu]) : NULL;

	if (p && smp_load_acquire(&p->known)) {
		*out = p->t;
		out->node = hal_numa_node_of_cpu(cpu);
		return;
	}
	/* Not seen yet: alone in its package, which groups it with nobody. */
	memset(out, 0, sizeof(*out));
	out->package = out->llc_id = out->apic_id = hal_percpu_of(cpu) ? hal_percpu_of(cpu)->apic_id : cpu;
	out->node = hal_numa_node_of_cpu(cpu);
}

u32 x86_topology_microcode(u32 cpu)
{
	const struct cpu_place *p = cpu < HAL_MAX_CPUS ? READ_ONCE(places[cpu]) : NULL;

	return p && smp_load_acquire(&p->known) ? p->microcode : 0;
}

bool hal_cpu_cache(u32 cpu, u32 i, struct hal_cache *out)
{
	const struct cpu_place *p = cpu < HAL_MAX_CPUS ? READ_ONCE(places[cpu]) : NULL;

	if (!p || !smp_load_acquire(&p->known) || i >= p->nr_caches)
		return false;
	*out = p->cache[i];
	return true;
}
