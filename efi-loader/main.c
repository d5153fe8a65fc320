/* SPDX-License-Identifier: MIT */
/*
 * The loader's boot list, from top to bottom: configuration, choice, kernel, initrd, handoff. Each step
 * prints its own error; then a key returns to the firmware with all memory given back.
 */
#include "loader.h"

#include "initrd.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static const struct span config_path = { "\\halcyon\\boot.conf", 18 };

static int read_config(struct loader *l)
{
	struct load_error error;

	if (file_load(l, &config_path, CONFIG_BYTES_MAX, &l->config_file))
		return -1;
	if (config_parse((const char *)l->config_file.data, l->config_file.bytes, &l->config, &error))
		return fail_about(&config_path, &error);
	if (l->config.unknown_keys)
		say("loader: %z: %u lines with unknown key words are ignored, the first is line %u\n", &config_path,
		    l->config.unknown_keys, l->config.unknown_line);
	return 0;
}

static int make_command_line(struct loader *l)
{
	char extra[1024];
	int length;

	load_options_to_text(l->loaded->LoadOptions, l->loaded->LoadOptions ? l->loaded->LoadOptionsSize : 0, extra,
			     sizeof(extra));
	length = config_command_line(l->entry, extra, l->cmdline, sizeof(l->cmdline));
	if (length < 0)
		return fail("%z: the options of %z are longer than %u bytes", &config_path, &l->entry->title,
			    BOOTINFO_CMDLINE_MAX - 1);
	l->cmdline_bytes = (unsigned)length;
	l->nokaslr = command_line_has(l->cmdline, "nokaslr");
	return 0;
}

static int read_kernel(struct loader *l)
{
	const struct span *path = &l->entry->kernel;
	struct load_error error;

	if (file_load(l, path, ELF_FILE_BYTES_MAX, &l->kernel_file))
		return -1;
	if (elf_plan_image(l->kernel_file.data, l->kernel_file.bytes, &l->plan, &error))
		return fail_about(path, &error);
	l->kernel_phys = pages_alloc_aligned(l->plan.image_bytes, "the kernel image");
	if (!l->kernel_phys)
		return -1;
	say("loader: kernel %z, %lu KiB\n", path, l->kernel_file.bytes / 1024);
	return 0;
}

/* Sizes of all initrds, each rounded up to four bytes, as Linux's loaders put them one after the other. */
static int measure_initrds(struct loader *l, uint64_t sizes[CONFIG_INITRDS_MAX])
{
	for (unsigned i = 0; i < l->entry->initrd_count; i++) {
		int64_t size = file_size(l, &l->entry->initrds[i]);

		if (size < 0)
			return -1;
		sizes[i] = (uint64_t)size;
		if (!add_fits(l->initrd_bytes, round_up(sizes[i], 4), &l->initrd_bytes))
			return fail("%z: impossible size", &l->entry->initrds[i]);
	}
	return 0;
}

static int read_initrds(struct loader *l)
{
	uint64_t sizes[CONFIG_INITRDS_MAX] = { 0 }, at;

	if (measure_initrds(l, sizes))
		return -1;
	if (!l->initrd_bytes)
		return l->entry->initrd_count ? fail("%z: the file is empty", &l->entry->initrds[0]) : 0;
	l->initrd_phys = pages_alloc(l->initrd_bytes, ANYWHERE, EfiLoaderData, "the initrd");
	if (!l->initrd_phys)
		return -1;
	at = l->initrd_phys;
	for (unsigned i = 0; i < l->entry->initrd_count; i++) {
		const struct span *path = &l->entry->initrds[i];
		struct load_error error;

		if (file_read_into(l, path, (void *)at, sizes[i]))
			return -1;
		if (initrd_check((const void *)at, sizes[i], &error))
			return fail_about(path, &error);
		mem_zero((void *)(at + sizes[i]), round_up(sizes[i], 4) - sizes[i]);
		at += round_up(sizes[i], 4);
		say("loader: initrd %z, %lu KiB\n", path, sizes[i] / 1024);
	}
	return 0;
}

/* All steps; returns only when one failed, or the user left the menu (1). */
static int load_and_go(struct loader *l)
{
	if (machine_check_cpu() || volume_open(l) || read_config(l))
		return -1;
	l->entry = menu_choose(&l->config);
	if (!l->entry)
		return 1;
	say("loader: booting %z\n", &l->entry->title);
	if (make_command_line(l) || read_kernel(l) || read_initrds(l))
		return -1;
	return handoff_run(l);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	static struct loader loader;
	uint64_t start = read_tsc();
	EFI_INPUT_KEY key;
	int result;

	mem_zero(&loader, sizeof(loader));
	loader.image = image;
	loader.tsc_start = start;
	console_init(system);
	boot->SetWatchdogTimer(0, 0, 0, NULL);	/* it would reset the machine after five minutes */
	say("Halcyon loader, image at %lx\n", (uint64_t)&ImageBase);

	result = load_and_go(&loader);
	if (result < 0) {
		coverage_dump();
		console_forget_keys();
		say("Nothing was started. Press a key to return to the firmware. ");
		if (!console_wait_key(&key))
			boot->Stall(30 * 1000 * 1000);
		say("\n");
	}
	if (loader.volume)
		loader.volume->Close(loader.volume);
	pages_free_all();
	return result < 0 ? EFI_LOAD_ERROR : EFI_SUCCESS;
}
