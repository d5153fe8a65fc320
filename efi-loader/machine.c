/* SPDX-License-Identifier: MIT */
/*
 * What firmware and CPU know about the machine: tables, screen, clock, Secure Boot, entropy. Nothing in
 * here is fatal except a CPU that the kernel cannot run on; what is absent stays zero in the handoff.
 */
#include "loader.h"

#define MSR_APIC_BASE	0x1b
#define MSR_EFER	0xc0000080

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

static struct cpuid cpuid_extended(uint32_t leaf)
{
	return cpuid(0x80000000, 0).eax >= leaf ? cpuid(leaf, 0) : (struct cpuid){ 0 };
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

uint64_t read_tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t read_cr4(void)
{
	uint64_t value;

	asm volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

bool cpu_has_1g_pages(void)
{
	return cpuid_extended(0x80000001).edx >> 26 & 1;
}

int machine_check_cpu(void)
{
	struct cpuid basic = cpuid(1, 0), extended = cpuid_extended(0x80000001);

	if (!(extended.edx >> 20 & 1))
		return fail("this CPU has no execute-disable (NX), or the firmware setup turned it off");
	if (!(extended.edx >> 11 & 1))
		return fail("this CPU has no syscall instruction");
	if (!(basic.edx >> 13 & 1))
		return fail("this CPU is too old: it lacks global pages");
	if (!(basic.edx >> 9 & 1))
		return fail("this CPU has no local APIC, or the firmware setup turned it off");
	return 0;
}

static bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
	return mem_equal(a, b, sizeof(*a));
}

static void describe_tables(struct bootinfo *bi)
{
	EFI_GUID acpi2 = ACPI_20_TABLE_GUID, acpi1 = ACPI_TABLE_GUID;
	EFI_GUID smbios = SMBIOS_TABLE_GUID, smbios3 = SMBIOS3_TABLE_GUID;
	uint64_t old_rsdp = 0;

	for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *entry = &firmware->ConfigurationTable[i];
		uint64_t table = (uint64_t)entry->VendorTable;

		if (guid_equal(&entry->VendorGuid, &acpi2))
			bi->acpi_rsdp = table;
		else if (guid_equal(&entry->VendorGuid, &acpi1))
			old_rsdp = table;
		else if (guid_equal(&entry->VendorGuid, &smbios))
			bi->smbios2 = table;
		else if (guid_equal(&entry->VendorGuid, &smbios3))
			bi->smbios3 = table;
	}
	if (!bi->acpi_rsdp)
		bi->acpi_rsdp = old_rsdp;
	if (bi->acpi_rsdp)	/* ACPI 6.5 §5.2.5.3: the revision is byte 15 */
		bi->acpi_revision = ((const uint8_t *)bi->acpi_rsdp)[15];
	bi->efi_system_table = (uint64_t)firmware;
	bi->efi_revision = firmware->Hdr.Revision;
	bi->firmware_revision = firmware->FirmwareRevision;
}

static bool variable_is_one(CHAR16 *name)
{
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	uint8_t value = 0;
	UINTN bytes = sizeof(value);

	return !EFI_ERROR(firmware->RuntimeServices->GetVariable(name, &global, NULL, &bytes, &value)) && value == 1;
}

static void describe_secure_boot(struct bootinfo *bi)
{
	CHAR16 secure[] = L"SecureBoot", setup[] = L"SetupMode";

	if (variable_is_one(secure))
		bi->flags |= BOOT_FLAG_SECURE_BOOT;
	if (variable_is_one(setup))
		bi->flags |= BOOT_FLAG_SETUP_MODE;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t era, day_of_year;

	year -= month <= 2;	/* years begin in March: the leap day is the last */
	era = year / 400;
	year -= era * 400;
	day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year * 365 + year / 4 - year / 100 + day_of_year - 719468;
}

static void describe_clock(struct bootinfo *bi)
{
	EFI_TIME t;

	if (EFI_ERROR(firmware->RuntimeServices->GetTime(&t, NULL)))
		return;
	if (t.Year < 1970 || t.Year > 9999 || !t.Month || t.Month > 12 || !t.Day || t.Day > 31 || t.Hour > 23 ||
	    t.Minute > 59 || t.Second > 59)
		return;
	bi->rtc_unix_s = days_from_civil(t.Year, t.Month, t.Day) * 86400 + t.Hour * 3600 + t.Minute * 60 + t.Second;
	/* TimeZone is minutes to add to local time for UTC, 2047: unspecified, which we take as UTC. */
	if (t.TimeZone >= -1440 && t.TimeZone <= 1440)
		bi->rtc_unix_s += t.TimeZone * 60;
	bi->flags |= BOOT_FLAG_RTC_VALID;
}

static void describe_cpu(struct bootinfo *bi)
{
	uint64_t cr0;

	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	bi->entry_cr0 = cr0;
	bi->entry_cr4 = read_cr4();
	bi->entry_efer = read_msr(MSR_EFER);
	bi->entry_apic_base = read_msr(MSR_APIC_BASE);
	bi->boot_apic_id = cpuid(1, 0).ebx >> 24;
	if (cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx)
		bi->boot_apic_id = cpuid(0xb, 0).edx;
	if (bi->entry_cr4 >> 12 & 1)
		bi->flags |= BOOT_FLAG_LEFT_LA57;
}

/* Masks of the pixel formats with a framebuffer; false for BltOnly and what is not known. */
static bool pixel_masks(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode, struct bootinfo_framebuffer *fb)
{
	fb->bits_per_pixel = 32;
	fb->green_mask = 0x0000ff00;
	fb->reserved_mask = 0xff000000;
	switch (mode->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		fb->red_mask = 0x000000ff;
		fb->blue_mask = 0x00ff0000;
		return true;
	case PixelBlueGreenRedReserved8BitPerColor:
		fb->red_mask = 0x00ff0000;
		fb->blue_mask = 0x000000ff;
		return true;
	case PixelBitMask:
		fb->red_mask = mode->PixelInformation.RedMask;
		fb->green_mask = mode->PixelInformation.GreenMask;
		fb->blue_mask = mode->PixelInformation.BlueMask;
		fb->reserved_mask = mode->PixelInformation.ReservedMask;
		if (!(fb->red_mask | fb->green_mask | fb->blue_mask))
			return false;
		fb->bits_per_pixel = 32 - (uint32_t)__builtin_clz(fb->red_mask | fb->green_mask | fb->blue_mask |
								  fb->reserved_mask);
		fb->bits_per_pixel = (fb->bits_per_pixel + 7) / 8 * 8;
		return true;
	default:
		return false;
	}
}

/* Describe the mode of one GOP; false when it has no usable framebuffer. */
static bool describe_gop(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, struct bootinfo_framebuffer *fb)
{
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode;
	UINTN bytes;

	mem_zero(fb, sizeof(*fb));
	if (!gop->Mode || !gop->Mode->Info) {
		/* Some firmware has no mode until one is set. */
		if (EFI_ERROR(gop->QueryMode(gop, 0, &bytes, &mode)) && EFI_ERROR(gop->SetMode(gop, 0)))
			return false;
		if (!gop->Mode || !gop->Mode->Info)
			return false;
	}
	mode = gop->Mode->Info;
	if (!pixel_masks(mode, fb) || !gop->Mode->FrameBufferBase || !mode->HorizontalResolution ||
	    !mode->VerticalResolution || mode->PixelsPerScanLine < mode->HorizontalResolution ||
	    mode->PixelsPerScanLine > 65536 || mode->VerticalResolution > 65536)
		return false;
	fb->base = gop->Mode->FrameBufferBase;
	fb->width = mode->HorizontalResolution;
	fb->height = mode->VerticalResolution;
	fb->pitch = mode->PixelsPerScanLine * (fb->bits_per_pixel / 8);
	fb->length = (uint64_t)fb->pitch * fb->height;
	return true;
}

static void describe_edid(EFI_HANDLE handle, struct bootinfo *bi)
{
	EFI_GUID guid = EFI_EDID_ACTIVE_PROTOCOL_GUID;
	EFI_EDID_ACTIVE_PROTOCOL *edid;
	uint64_t copy;

	if (EFI_ERROR(boot->HandleProtocol(handle, &guid, (void **)&edid)) || !edid->Edid ||
	    edid->SizeOfEdid < 128 || edid->SizeOfEdid > PAGE_BYTES)
		return;
	copy = pages_alloc(PAGE_BYTES, ANYWHERE, EfiLoaderData, "the monitor's description");
	if (!copy)
		return;
	mem_copy((void *)copy, edid->Edid, edid->SizeOfEdid);
	bi->edid = (struct bootinfo_buffer){ copy, edid->SizeOfEdid };
}

/* There may be several: one that the firmware's console uses is preferred. */
static void describe_screen(struct bootinfo *bi)
{
	EFI_GUID gop_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID, text_guid = SIMPLE_TEXT_OUTPUT_PROTOCOL;
	EFI_HANDLE *handles, chosen = NULL;
	UINTN count = 0;

	if (EFI_ERROR(boot->LocateHandleBuffer(ByProtocol, &gop_guid, NULL, &count, &handles)))
		return;
	for (UINTN i = 0; i < count; i++) {
		EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
		struct bootinfo_framebuffer fb;
		void *text;
		bool console;

		if (EFI_ERROR(boot->HandleProtocol(handles[i], &gop_guid, (void **)&gop)) || !describe_gop(gop, &fb))
			continue;
		console = !EFI_ERROR(boot->HandleProtocol(handles[i], &text_guid, &text));
		if (chosen && !console)
			continue;
		bi->framebuffer = fb;
		chosen = handles[i];
		if (console)
			break;
	}
	if (chosen)
		describe_edid(chosen, bi);
	boot->FreePool(handles);
}

/* A copy of our volume's device path: nodes of type, subtype, 16-bit length; 7fh ffh ends it. */
static void describe_boot_device(struct loader *loader, struct bootinfo *bi)
{
	EFI_GUID guid = DEVICE_PATH_PROTOCOL;
	const uint8_t *path;
	uint64_t bytes = 0, copy;
	void *found;

	if (EFI_ERROR(boot->HandleProtocol(loader->loaded->DeviceHandle, &guid, &found)))
		return;
	path = found;
	for (bool last = false; !last; ) {
		unsigned node = path[bytes + 2] | path[bytes + 3] << 8;

		last = (path[bytes] & 0x7f) == 0x7f && path[bytes + 1] == 0xff;
		if (node < 4 || bytes + node > PAGE_BYTES)
			return;
		bytes += node;
	}
	copy = pages_alloc(PAGE_BYTES, ANYWHERE, EfiLoaderData, "the boot device's path");
	if (!copy)
		return;
	mem_copy((void *)copy, path, bytes);
	bi->boot_device_path = (struct bootinfo_buffer){ copy, bytes };
}

void machine_describe(struct loader *loader, struct bootinfo *bi)
{
	describe_cpu(bi);
	describe_tables(bi);
	describe_secure_boot(bi);
	describe_clock(bi);
	describe_screen(bi);
	describe_boot_device(loader, bi);
}

/* ---- entropy ------------------------------------------------------------------------------------ */

static bool hardware_random(bool seed, uint64_t *value)
{
	for (unsigned tries = 0; tries < 32; tries++) {
		bool good;

		if (seed)
			asm volatile("rdseed %0" : "=r"(*value), "=@ccc"(good));
		else
			asm volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
		if (good)
			return true;
	}
	return false;
}

static bool absorb_hardware(struct sponge *sponge)
{
	bool has_rdrand = cpuid(1, 0).ecx >> 30 & 1;
	bool has_rdseed = cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx >> 18 & 1);
	uint64_t words[8], last = 0;
	bool differs = false;

	if (!has_rdrand && !has_rdseed)
		return false;
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++) {
		if (!hardware_random(has_rdseed, &words[i]))
			return false;
		differs |= i && words[i] != last;
		last = words[i];
	}
	sponge_absorb(sponge, words, sizeof(words));
	return differs;		/* a stuck generator does not count */
}

static bool absorb_firmware(struct sponge *sponge)
{
	EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
	EFI_RNG_PROTOCOL *rng;
	uint8_t bytes[64];

	if (EFI_ERROR(boot->LocateProtocol(&guid, NULL, (void **)&rng)) ||
	    EFI_ERROR(rng->GetRNG(rng, NULL, sizeof(bytes), bytes)))
		return false;
	sponge_absorb(sponge, bytes, sizeof(bytes));
	return true;
}

/*
 * Timing: the low bits of the TSC around firmware calls that touch devices. Little, but it is there on
 * machines that have nothing else.
 */
static void absorb_timing(struct sponge *sponge)
{
	for (unsigned i = 0; i < 64; i++) {
		uint64_t sample[2] = { read_tsc(), 0 };

		boot->Stall(1);
		sample[1] = read_tsc();
		sponge_absorb(sponge, sample, sizeof(sample));
	}
}

void machine_gather_entropy(struct sponge *sponge, uint64_t *flags)
{
	UINT64 monotonic = 0;
	EFI_TIME now;

	if (absorb_firmware(sponge))
		*flags |= BOOT_FLAG_SEED_RNG;
	if (absorb_hardware(sponge))
		*flags |= BOOT_FLAG_SEED_RDRAND;
	absorb_timing(sponge);
	if (!EFI_ERROR(boot->GetNextMonotonicCount(&monotonic)))
		sponge_absorb(sponge, &monotonic, sizeof(monotonic));
	if (!EFI_ERROR(firmware->RuntimeServices->GetTime(&now, NULL)))
		sponge_absorb(sponge, &now, sizeof(now));
}
