/* SPDX-License-Identifier: MIT */
/*
 * SRAT and SLIT (ACPI 6.5 §5.2.16, §5.2.17): which processors and which memory are near to each other.
 *
 * Both only make the machine faster, so nothing here is fatal: an entry that cannot be right is reported and left
 * out, and a distance table with one impossible number is left out whole (a wrong order of nodes is worse than none).
 *
 * In an SRAT of revision 1 the upper three bytes of a domain are reserved, and firmware left rubbish there; only the
 * lowest counts then.
 */
#include "acpi_internal.h"

#define SRAT_FIRST_ENTRY	48
#define SRAT_ENABLED		BIT(0)
#define SRAT_HOTPLUG		BIT(1)
#define SRAT_NON_VOLATILE	BIT(2)
#define SRAT_WIDE_DOMAINS	2	/* revision */
#define SLIT_MATRIX		44

enum { SRAT_CPU = 0, SRAT_MEMORY = 1, SRAT_X2APIC = 2 };

static void add_cpu(const struct acpi_access *a, struct acpi_info *info, u32 apic_id, u32 domain)
{
	for (u32 i = 0; i < info->nr_cpu_affinity; i++) {
		if (info->cpu_affinity[i].apic_id != apic_id)
			continue;
		if (info->cpu_affinity[i].domain != domain)
			acpi_report(a, "processor in two domains, the first counts", "SRAT", apic_id);
		return;
	}
	if (info->nr_cpu_affinity == ACPI_MAX_CPUS)
		return; /* the MADT's report says that there are too many */
	info->cpu_affinity[info->nr_cpu_affinity++] = (struct acpi_cpu_affinity){ apic_id, domain };
}

static bool range_clashes(const struct acpi_info *info, paddr_t base, u64 bytes, u32 domain)
{
	for (u32 i = 0; i < info->nr_memory_affinity; i++) {
		const struct acpi_memory_affinity *m = &info->memory_affinity[i];

		if (m->domain != domain && base < m->base + m->bytes && m->base < base + bytes)
			return true;
	}
	return false;
}

static void add_memory(const struct acpi_access *a, const struct acpi_view *e, struct acpi_info *info, u32 domain)
{
	paddr_t base = field64(e, 8);
	u64 bytes = field64(e, 16);
	u32 flags = field32(e, 28);

	if (!bytes || (flags & SRAT_NON_VOLATILE))
		return;
	if (base + bytes < base || range_clashes(info, base, bytes, domain)) {
		acpi_report(a, "range of memory is not possible, left out", "SRAT", base);
		return;
	}
	if (info->nr_memory_affinity == ACPI_MAX_MEMORY) {
		acpi_report(a, "too many ranges of memory", "SRAT", base);
		return;
	}
	info->memory_affinity[info->nr_memory_affinity++] = (struct acpi_memory_affinity){
		.base = base, .bytes = bytes, .domain = domain, .hotplug = (flags & SRAT_HOTPLUG) != 0,
	};
}

static void read_entry(const struct acpi_access *a, const struct acpi_view *e, u32 revision, struct acpi_info *info)
{
	static const u8 least[] = { [SRAT_CPU] = 16, [SRAT_MEMORY] = 40, [SRAT_X2APIC] = 24 };
	u32 mask = revision < SRAT_WIDE_DOMAINS ? 0xff : UINT32_MAX;
	u8 type = field8(e, 0);

	if (type >= ARRAY_SIZE(least))
		return;
	if (e->len < least[type]) {
		acpi_report(a, "entry too short, left out", "SRAT", e->paddr);
		return;
	}
	switch (type) {
	case SRAT_CPU:
		/* The domain's upper bytes stand apart from the lowest (§5.2.16.1). */
		if ((field32(e, 4) & SRAT_ENABLED) && field8(e, 3) != 0xff)
			add_cpu(a, info, field8(e, 3), ((field32(e, 8) & ~0xffu) | field8(e, 2)) & mask);
		break;
	case SRAT_MEMORY:
		if (field32(e, 28) & SRAT_ENABLED)
			add_memory(a, e, info, field32(e, 2) & mask);
		break;
	case SRAT_X2APIC:
		if ((field32(e, 12) & SRAT_ENABLED) && field32(e, 8) != UINT32_MAX)
			add_cpu(a, info, field32(e, 8), field32(e, 4) & mask);
		break;
	}
}

void acpi_read_srat(const struct acpi_access *a, const struct acpi_view *v, struct acpi_info *info)
{
	u32 off = SRAT_FIRST_ENTRY;

	if (v->len < SRAT_FIRST_ENTRY) {
		acpi_report(a, "too short", "SRAT", v->paddr);
		return;
	}
	info->has_srat = true;
	while (off + 2 <= v->len) {
		u8 len = v->data[off + 1];
		struct acpi_view entry = { v->data + off, len, v->paddr + off, "SRAT" };

		if (len < 2 || len > v->len - off) {
			acpi_report(a, "entry of bad length, rest left out", "SRAT", v->paddr + off);
			break;
		}
		read_entry(a, &entry, v->data[8], info);
		off += len;
	}
}

/* On the diagonal exactly 10; elsewhere more, or 255 for "cannot be reached". */
static bool distances_possible(const u8 *matrix, u32 n)
{
	for (u32 i = 0; i < n; i++)
		for (u32 j = 0; j < n; j++)
			if (i == j ? matrix[i * n + j] != ACPI_DISTANCE_LOCAL : matrix[i * n + j] <= ACPI_DISTANCE_LOCAL)
				return false;
	return true;
}

void acpi_read_slit(const struct acpi_access *a, const struct acpi_view *v, struct acpi_info *info)
{
	u64 n = field64(v, 36);

	if (n == 0 || n > ACPI_MAX_DOMAINS || v->len < SLIT_MATRIX + n * n) {
		acpi_report(a, "number of domains is not possible", "SLIT", v->paddr);
		return;
	}
	if (!distances_possible(v->data + SLIT_MATRIX, (u32)n)) {
		acpi_report(a, "distances are not possible", "SLIT", v->paddr);
		return;
	}
	info->slit_domains = (u32)n;
	for (u32 i = 0; i < n * n; i++)
		info->slit[i] = v->data[SLIT_MATRIX + i];
}
