/* SPDX-License-Identifier: MIT */
/*
 * What is taken from each ACPI table. Offsets are those of ACPI 6.5 §5.2.9 (FADT)
 * and §5.2.12 (MADT), the IA-PC HPET specification 1.0a §3.2.4, Microsoft's SPCR
 * specification, and the PCI Firmware Specification 3.2 §4.1.2 (MCFG).
 * The tables of near and far memory are read in acpi_numa.c.
 */
#include <lib/string.h>

#include "acpi_internal.h"

#define MADT_FIRST_ENTRY  44
#define MADT_PCAT_COMPAT  BIT(0)
#define LAPIC_ENABLED	  BIT(0)
#define LAPIC_CAPABLE	  BIT(1)
#define MADT_CAPABLE_REVISION 5	/* from here on LAPIC_CAPABLE says which of the disabled ones may come (ACPI 6.3) */

#define BOOT_8042	  BIT(1)
#define BOOT_NO_VGA	  BIT(2)
#define BOOT_NO_MSI	  BIT(3)
#define BOOT_NO_RTC	  BIT(5)
#define FADT_TMR_VAL_EXT  BIT(8)
#define FADT_RESET	  BIT(10)
#define FADT_HW_REDUCED	  BIT(20)
#define FADT_BOOT_ARCH_REVISION 3

static u8 polarity_of(u16 flags)
{
	return flags & 3;
}

static u8 trigger_of(u16 flags)
{
	return flags >> 2 & 3;
}

static bool is_listed(const struct acpi_info *info, u32 apic_id)
{
	for (u32 i = 0; i < info->nr_cpus; i++)
		if (info->cpus[i].apic_id == apic_id)
			return true;
	return false;
}

/*
 * One processor. Firmware lists the same one as type 0 and type 9, or twice; and
 * fills unused entries with the broadcast ID, or with that of a processor which is there.
 */
static void add_cpu(struct acpi_info *info, u32 revision, u32 apic_id, u32 uid, u32 flags)
{
	bool enabled = flags & LAPIC_ENABLED;

	if (!enabled && !(flags & LAPIC_CAPABLE)) {
		info->cpus_absent += revision < MADT_CAPABLE_REVISION && !is_listed(info, apic_id);
		return;
	}
	for (u32 i = 0; i < info->nr_cpus; i++) {
		if (info->cpus[i].apic_id == apic_id) {
			info->cpus[i].enabled |= enabled;
			return;
		}
	}
	if (info->nr_cpus == ACPI_MAX_CPUS) {
		info->cpus_dropped++;
		return;
	}
	info->cpus[info->nr_cpus++] = (struct acpi_cpu){ apic_id, uid, enabled };
}

static void add_ioapic(const struct acpi_access *a, const struct acpi_view *e,
		       struct acpi_info *info)
{
	struct acpi_ioapic io = {
		.id = field8(e, 2), .paddr = field32(e, 4), .gsi_base = field32(e, 8),
	};

	for (u32 i = 0; i < info->nr_ioapics; i++) {
		if (info->ioapics[i].paddr == io.paddr || info->ioapics[i].gsi_base == io.gsi_base) {
			acpi_report(a, "I/O APIC listed twice, left out", "APIC", io.paddr);
			return;
		}
	}
	if (!io.paddr || info->nr_ioapics == ACPI_MAX_IOAPICS) {
		acpi_report(a, "I/O APIC left out", "APIC", io.paddr);
		return;
	}
	info->ioapics[info->nr_ioapics++] = io;
}

static void add_override(const struct acpi_access *a, const struct acpi_view *e,
			 struct acpi_info *info)
{
	struct acpi_override o = {
		.irq = field8(e, 3), .gsi = field32(e, 4),
		.polarity = polarity_of(field16(e, 8)), .trigger = trigger_of(field16(e, 8)),
	};

	/* Bus 0 is ISA, the only one there is (§5.2.12.5); ISA has 16 lines. */
	if (field8(e, 2) != 0 || o.irq > 15 || info->nr_overrides == ACPI_MAX_OVERRIDES) {
		acpi_report(a, "interrupt override left out", "APIC", o.irq);
		return;
	}
	info->overrides[info->nr_overrides++] = o;
}

static void add_nmi_source(const struct acpi_view *e, struct acpi_info *info)
{
	if (info->nr_nmi_sources == ACPI_MAX_NMIS)
		return;
	info->nmi_sources[info->nr_nmi_sources++] = (struct acpi_nmi_source){
		.gsi = field32(e, 4), .polarity = polarity_of(field16(e, 2)),
		.trigger = trigger_of(field16(e, 2)),
	};
}

static void add_lapic_nmi(struct acpi_info *info, u32 uid, u16 flags, u8 lint)
{
	if (info->nr_lapic_nmis == ACPI_MAX_NMIS || lint > 1)
		return;
	info->lapic_nmis[info->nr_lapic_nmis++] = (struct acpi_lapic_nmi){
		.uid = uid, .lint = lint, .polarity = polarity_of(flags),
		.trigger = trigger_of(flags),
	};
}

/* One entry of the MADT, as a view of its own: fields behind its end read as 0. */
static void read_madt_entry(const struct acpi_access *a, const struct acpi_view *e, u32 revision,
			    struct acpi_info *info)
{
	static const u8 least[] = { 8, 12, 10, 8, 6, 12, 0, 0, 0, 16, 12 };
	u8 type = field8(e, 0), uid = field8(e, 2);

	if (type >= ARRAY_SIZE(least) || !least[type])
		return;
	if (e->len < least[type]) {
		acpi_report(a, "entry too short, left out", "APIC", e->paddr);
		return;
	}
	switch (type) {
	case 0:
		if (field8(e, 3) != 0xff)
			add_cpu(info, revision, field8(e, 3), uid, field32(e, 4));
		break;
	case 1: add_ioapic(a, e, info); break;
	case 2: add_override(a, e, info); break;
	case 3: add_nmi_source(e, info); break;
	case 4:
		add_lapic_nmi(info, uid == 0xff ? ACPI_ALL_CPUS : uid, field16(e, 3), field8(e, 5));
		break;
	case 5:
		if (field64(e, 4))
			info->lapic_paddr = field64(e, 4);
		break;
	case 9:
		if (field32(e, 4) != UINT32_MAX)
			add_cpu(info, revision, field32(e, 4), field32(e, 12), field32(e, 8));
		break;
	case 10: add_lapic_nmi(info, field32(e, 4), field16(e, 2), field8(e, 8)); break;
	default: break;
	}
}

static void read_madt(const struct acpi_access *a, const struct acpi_view *v,
		      struct acpi_info *info)
{
	u32 off = MADT_FIRST_ENTRY;

	if (v->len < MADT_FIRST_ENTRY) {
		acpi_report(a, "too short", "APIC", v->paddr);
		return;
	}
	info->has_madt = true;
	if (field32(v, 36))
		info->lapic_paddr = field32(v, 36);
	info->has_pic = field32(v, 40) & MADT_PCAT_COMPAT;
	while (off + 2 <= v->len) {
		u8 len = v->data[off + 1];
		struct acpi_view entry = { v->data + off, len, v->paddr + off, "APIC" };

		if (len < 2 || len > v->len - off) {
			acpi_report(a, "entry of bad length, rest left out", "APIC", v->paddr + off);
			break;
		}
		read_madt_entry(a, &entry, v->data[8], info);
		off += len;
	}
	for (u32 i = 0; i < info->nr_cpus; i++)
		info->cpus_absent += !info->cpus[i].enabled;
	if (info->cpus_dropped)
		acpi_report(a, "more processors than supported", "APIC", v->paddr);
}

/* The extended field if the table has one and it is filled, else the old port. */
static struct acpi_reg fadt_reg(const struct acpi_view *v, u32 extended, u32 old, u8 bits)
{
	struct acpi_reg r = acpi_field_reg(v, extended);

	if (r.address && (r.space == ACPI_SPACE_IO || r.space == ACPI_SPACE_MEMORY) &&
	    (r.space == ACPI_SPACE_MEMORY || r.address <= UINT16_MAX)) {
		if (!r.bits)
			r.bits = bits;
		return r;
	}
	r = (struct acpi_reg){ field32(v, old), ACPI_SPACE_IO, bits };
	if (r.address > UINT16_MAX)
		r.address = 0;
	return r;
}

static void read_reset(const struct acpi_view *v, struct acpi_info *info)
{
	struct acpi_reg r = acpi_field_reg(v, 116);

	if (!(field32(v, 112) & FADT_RESET) || v->len < 129 || r.space > ACPI_SPACE_PCI)
		return;
	if (r.space == ACPI_SPACE_IO && r.address > UINT16_MAX)
		return;
	info->reset = r;
	info->reset_value = field8(v, 128);
}

static void read_fadt(const struct acpi_view *v, struct acpi_info *info)
{
	u32 flags = field32(v, 112);
	u16 boot = field16(v, 109);

	info->has_fadt = true;
	info->hw_reduced = flags & FADT_HW_REDUCED;
	if (v->data[8] >= FADT_BOOT_ARCH_REVISION) {
		info->has_8042 = boot & BOOT_8042;
		info->has_vga = !(boot & BOOT_NO_VGA);
		info->has_rtc = !(boot & BOOT_NO_RTC);
		info->no_msi = boot & BOOT_NO_MSI;
	}
	info->century = field8(v, 108);
	read_reset(v, info);
	if (info->hw_reduced) {
		info->sleep_control = acpi_field_reg(v, 244);
		return;
	}
	info->sci_irq = field16(v, 46);
	info->smi_command = field32(v, 48);
	info->acpi_enable = field8(v, 52);
	info->pm1a_event = fadt_reg(v, 148, 56, 32);
	info->pm1b_event = fadt_reg(v, 160, 60, 32);
	info->pm1a_control = fadt_reg(v, 172, 64, 16);
	info->pm1b_control = fadt_reg(v, 184, 68, 16);
	/* PM_TMR_LEN is 4, or 0 when there is no timer (§5.2.9). */
	if (field8(v, 91) == 4)
		info->pm_timer = fadt_reg(v, 208, 76, 32);
	info->pm_timer.bits = flags & FADT_TMR_VAL_EXT ? 32 : 24;
}

static void read_aml(const struct acpi_access *a, paddr_t paddr, const char *name, struct acpi_info *info)
{
	struct acpi_view v;

	if (acpi_open(a, paddr, name, &v) != 0)
		return;
	if (!info->has_s5)
		info->has_s5 = acpi_find_s5(&v, &info->s5_type_a, &info->s5_type_b);
	acpi_find_root_buses(&v, info);
	acpi_close(a, &v);
}

/* What is looked for is in the DSDT; some firmware has it in an SSDT. */
static void read_all_aml(const struct acpi_access *a, const struct acpi_view *fadt, struct acpi_info *info)
{
	paddr_t dsdt = field64(fadt, 140) ? field64(fadt, 140) : field32(fadt, 40);
	const struct acpi_table *t;

	read_aml(a, dsdt, "DSDT", info);
	for (u32 i = 0; (t = acpi_find_table(info, "SSDT", i)); i++)
		read_aml(a, t->paddr, "SSDT", info);
	if (!info->has_s5 && !info->hw_reduced)
		acpi_report(a, "no \\_S5 package: no power-off through ACPI", "DSDT", dsdt);
}

static void read_hpet(const struct acpi_access *a, const struct acpi_view *v,
		      struct acpi_info *info)
{
	struct acpi_reg r = acpi_field_reg(v, 40);

	if (!r.address || r.space != ACPI_SPACE_MEMORY || !IS_ALIGNED(r.address, 8)) {
		acpi_report(a, "address is not possible", "HPET", v->paddr);
		return;
	}
	info->hpet_paddr = r.address;
	info->hpet_min_tick = field16(v, 53);
}

static void read_spcr(const struct acpi_view *v, struct acpi_info *info)
{
	static const u32 bauds[] = { 0, 0, 0, 9600, 19200, 0, 57600, 115200 };
	u8 baud = field8(v, 58);

	info->spcr = acpi_field_reg(v, 40);
	info->has_spcr = info->spcr.address != 0;
	info->spcr_type = field8(v, 36);
	info->spcr_gsi = field32(v, 54);
	info->spcr_baud = baud < ARRAY_SIZE(bauds) ? bauds[baud] : 0;
}

/* Two windows of one segment that share a bus, or of any that share addresses, cannot both be right. */
static bool segment_clashes(const struct acpi_info *info, const struct acpi_segment *s)
{
	u64 first = s->paddr + ((u64)s->first_bus << 20), end = s->paddr + ((s->last_bus + 1ull) << 20);

	for (u32 i = 0; i < info->nr_segments; i++) {
		const struct acpi_segment *o = &info->segments[i];
		u64 o_first = o->paddr + ((u64)o->first_bus << 20), o_end = o->paddr + ((o->last_bus + 1ull) << 20);

		if (s->segment == o->segment && s->first_bus <= o->last_bus && o->first_bus <= s->last_bus)
			return true;
		if (first < o_end && o_first < end)
			return true;
	}
	return false;
}

static void read_mcfg(const struct acpi_access *a, const struct acpi_view *v, struct acpi_info *info)
{
	for (u32 off = 44; off + 16 <= v->len; off += 16) {
		struct acpi_segment s = {
			.paddr = field64(v, off), .segment = field16(v, off + 8),
			.first_bus = field8(v, off + 10), .last_bus = field8(v, off + 11),
		};

		if (!s.paddr || !IS_ALIGNED(s.paddr, 1 << 20) || s.paddr > UINT64_MAX - (256ull << 20) ||
		    s.first_bus > s.last_bus || segment_clashes(info, &s) || info->nr_segments == ACPI_MAX_SEGMENTS) {
			acpi_report(a, "window of PCI buses left out", "MCFG", s.paddr);
			continue;
		}
		info->segments[info->nr_segments++] = s;
	}
}

/* Opens the first table of that name again; its checksum was good before. */
static bool open_first(const struct acpi_access *a, const struct acpi_info *info,
		       const char *signature, struct acpi_view *v)
{
	const struct acpi_table *t = acpi_find_table(info, signature, 0);

	return t && acpi_open(a, t->paddr, signature, v) == 0;
}

void acpi_read_tables(const struct acpi_access *a, struct acpi_info *info)
{
	struct acpi_view v;

	if (open_first(a, info, "APIC", &v)) {
		read_madt(a, &v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "FACP", &v)) {
		read_fadt(&v, info);
		read_all_aml(a, &v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "HPET", &v)) {
		read_hpet(a, &v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "SPCR", &v)) {
		read_spcr(&v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "MCFG", &v)) {
		read_mcfg(a, &v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "SRAT", &v)) {
		acpi_read_srat(a, &v, info);
		acpi_close(a, &v);
	}
	if (open_first(a, info, "SLIT", &v)) {
		acpi_read_slit(a, &v, info);
		acpi_close(a, &v);
	}
}
