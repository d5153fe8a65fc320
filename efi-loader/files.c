/* SPDX-License-Identifier: MIT */
/*
 * Files of the volume that we were started from: LoadedImage, its device, SimpleFileSystem, nothing
 * else, as every firmware has that. Reads are of at most 1 MiB: some firmware fails on very large ones,
 * and one failed read can break the handle for good, so there is no retry with the same handle.
 */
#include "loader.h"

#define CHUNK_BYTES	MIB
#define PROGRESS_FROM	(16 * MIB)	/* smaller files are there before one could read the figure */

int volume_open(struct loader *loader)
{
	EFI_GUID image_guid = LOADED_IMAGE_PROTOCOL, volume_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	struct span name = { "the boot volume", 15 };
	EFI_FILE_IO_INTERFACE *volume;
	EFI_STATUS status;
	void *found;

	status = boot->HandleProtocol(loader->image, &image_guid, &found);
	if (EFI_ERROR(status))
		return fail_status("find", &name, status);
	loader->loaded = found;
	if (!loader->loaded->DeviceHandle)
		return fail("the firmware does not say which volume the loader was started from");
	status = boot->HandleProtocol(loader->loaded->DeviceHandle, &volume_guid, &found);
	if (EFI_ERROR(status))
		return fail_status("use", &name, status);
	volume = found;
	status = volume->OpenVolume(volume, &loader->volume);
	return EFI_ERROR(status) ? fail_status("open", &name, status) : 0;
}

static EFI_FILE_HANDLE file_open(struct loader *loader, const struct span *path)
{
	uint16_t ucs2[CONFIG_PATH_MAX + 2];
	EFI_FILE_HANDLE file;
	EFI_STATUS status;

	if (config_path_to_ucs2(*path, ucs2)) {
		fail("%z: the path is too long or not UTF-8", path);
		return NULL;
	}
	status = loader->volume->Open(loader->volume, &file, (CHAR16 *)ucs2, EFI_FILE_MODE_READ, 0);
	if (EFI_ERROR(status)) {
		fail_status("open", path, status);
		return NULL;
	}
	return file;
}

/* GetInfo wants a buffer as long as the file's long name; it says how long. */
static int64_t open_file_size(EFI_FILE_HANDLE file, const struct span *path)
{
	EFI_GUID guid = EFI_FILE_INFO_ID;
	UINTN bytes = 512;
	EFI_STATUS status = EFI_BUFFER_TOO_SMALL;
	int64_t size = -1;

	for (unsigned tries = 0; status == EFI_BUFFER_TOO_SMALL && tries < 4; tries++) {
		EFI_FILE_INFO *info;

		if (EFI_ERROR(boot->AllocatePool(EfiLoaderData, bytes, (void **)&info)))
			return fail("out of memory for the description of %z", path);
		status = file->GetInfo(file, &guid, &bytes, info);
		if (!EFI_ERROR(status) && info->Attribute & EFI_FILE_DIRECTORY)
			size = fail("%z is a folder", path);
		else if (!EFI_ERROR(status))
			size = info->FileSize > INT64_MAX ? fail("%z: impossible size", path) : (int64_t)info->FileSize;
		boot->FreePool(info);
	}
	return EFI_ERROR(status) ? fail_status("look at", path, status) : size;
}

int64_t file_size(struct loader *loader, const struct span *path)
{
	EFI_FILE_HANDLE file = file_open(loader, path);
	int64_t size;

	if (!file)
		return -1;
	size = open_file_size(file, path);
	file->Close(file);
	return size;
}

static int read_chunks(EFI_FILE_HANDLE file, const struct span *path, uint8_t *data, uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		UINTN chunk = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
		EFI_STATUS status = file->Read(file, &chunk, data + done);

		if (EFI_ERROR(status))
			return fail_status("read", path, status);
		if (!chunk)
			return fail("%z: ends after %lu of %lu bytes", path, done, bytes);
		done += chunk;
		if (bytes >= PROGRESS_FROM && done % (8 * MIB) < CHUNK_BYTES)
			say("\rloader: %z %lu of %lu MiB", path, done / MIB, bytes / MIB);
	}
	if (bytes >= PROGRESS_FROM)
		say("\r");
	return 0;
}

int file_read_into(struct loader *loader, const struct span *path, void *data, uint64_t bytes)
{
	EFI_FILE_HANDLE file = file_open(loader, path);
	int result;

	if (!file)
		return -1;
	result = read_chunks(file, path, data, bytes);
	file->Close(file);
	return result;
}

int file_load(struct loader *loader, const struct span *path, uint64_t max, struct loaded_file *file)
{
	int64_t size = file_size(loader, path);

	if (size < 0)
		return -1;
	if (!size)
		return fail("%z: the file is empty", path);
	if ((uint64_t)size > max)
		return fail("%z: %lu bytes, at most %lu are possible", path, (uint64_t)size, max);
	file->bytes = (uint64_t)size;
	file->room = round_up(file->bytes, PAGE_BYTES);
	file->data = (uint8_t *)pages_alloc(file->room, ANYWHERE, EfiLoaderData, "a file");
	if (!file->data)
		return -1;
	return file_read_into(loader, path, file->data, file->bytes);
}
