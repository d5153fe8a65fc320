// SPDX-License-Identifier: MIT
/*
 * The strings of execve(2) on their way to the new stack.
 *
 * They are copied from the caller's memory into kernel pages, from the top
 * downwards, in the layout that the new program finds (see exec.h), so that the
 * pages themselves can become the top of its stack. Limits are Linux's: 128 KiB a
 * string, and all strings with their pointers a quarter of RLIMIT_STACK, at most
 * 6 MiB, at least 128 KiB.
 */
#include <abi/linux/resource.h>
#include <hal/mem.h>
#include <kernel/mm/page.h>
#include <kernel/mm/slab.h>
#include <kernel/proc/exec.h>
#include <kernel/signal/signal.h>
#include <kernel/vm/uaccess.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "exec_internal.h"

#define EXEC_TOP_BYTES		8			/* zero bytes at the very top of a stack */
#define EXEC_ARG_MIN		(128 * KIB)		/* ARG_MAX */
#define EXEC_ARG_CEILING	(_STK_LIM / 4 * 3)
#define EXEC_FIRST_PAGES	8

/* The page that holds distance d, which is made when it is the first of its kind. */
static u8 *exec_page_at(struct exec_image *img, size_t d)
{
	size_t i = (d - 1) / PAGE_SIZE;
	struct page *page;

	while (img->nr_arg_pages <= i) {
		if (img->nr_arg_pages == img->max_arg_pages) {
			size_t max = img->max_arg_pages ? img->max_arg_pages * 2 : EXEC_FIRST_PAGES;
			struct page **bigger = krealloc(img->arg_pages, max * sizeof(*bigger), MM_KERNEL);

			if (!bigger)
				return NULL;
			img->arg_pages = bigger;
			img->max_arg_pages = max;
		}
		page = page_alloc(0, MM_USER | MM_ZERO);
		if (!page)
			return NULL;
		img->arg_pages[img->nr_arg_pages++] = page;
	}
	return page_address(img->arg_pages[i]);
}

/* Copies n bytes so that the first one lies at distance d. */
static int exec_put_bytes(struct exec_image *img, const struct exec_source *src, u64 from, size_t d,
			  size_t n)
{
	while (n) {
		u8 *page = exec_page_at(img, d);
		size_t at = PAGE_SIZE - 1 - (d - 1) % PAGE_SIZE;
		size_t chunk = MIN(n, (size_t)(PAGE_SIZE - at));

		if (!page)
			return -ENOMEM;
		if (src->kernel)
			memcpy(page + at, (const void *)(uintptr_t)from, chunk);
		else if (copy_from_user(page + at, uptr(from), chunk))
			return -EFAULT;
		from += chunk;
		d -= chunk;
		n -= chunk;
	}
	return 0;
}

static void exec_terminate(struct exec_image *img, size_t d)
{
	exec_page_at(img, d)[PAGE_SIZE - 1 - (d - 1) % PAGE_SIZE] = '\0';
}

/* Pushes one string of len bytes, NUL included, below what is there. */
static int exec_push(struct exec_image *img, const struct exec_source *src, u64 from, size_t len)
{
	int err;

	if (len > img->arg_limit || img->arg_bytes > img->arg_limit - len)
		return -E2BIG;
	err = exec_put_bytes(img, src, from, img->arg_bytes + len, len);
	if (err)
		return err;
	/* Another thread may have changed it since it was measured. */
	exec_terminate(img, img->arg_bytes + 1);
	img->arg_bytes += len;
	return 0;
}

static int exec_push_kernel(struct exec_image *img, const char *s)
{
	static const struct exec_source kernel = { .kernel = true };

	return exec_push(img, &kernel, (u64)(uintptr_t)s, strlen(s) + 1);
}

static int exec_word(const struct exec_source *src, u64 vector, size_t i, u64 *out)
{
	if (src->kernel) {
		*out = ((const u64 *)(uintptr_t)vector)[i];
		return 0;
	}
	might_fault();
	return hal_user_load_u64(uptr(vector + i * sizeof(u64)), out);
}

static int exec_count(const struct exec_source *src, u64 vector)
{
	size_t n;
	u64 word;

	if (!vector)
		return 0;
	for (n = 0;; n++) {
		if (exec_word(src, vector, n, &word))
			return -EFAULT;
		if (!word)
			return (int)n;
		if (n >= EXEC_MAX_STRINGS)
			return -E2BIG;
		if (signal_fatal_pending())
			return -ERESTARTNOHAND;
	}
}

/* From the last to the first, so that the first lies lowest. */
static int exec_push_vector(struct exec_image *img, const struct exec_source *src, u64 vector, int n)
{
	u64 word;
	size_t len;
	int err;

	while (n-- > 0) {
		if (exec_word(src, vector, (size_t)n, &word))
			return -EFAULT;
		if (src->kernel)
			len = strlen((const char *)(uintptr_t)word) + 1;
		else
			len = hal_strnlen_user(uptr(word), EXEC_MAX_STRLEN);
		if (!len)
			return -EFAULT;
		if (len > EXEC_MAX_STRLEN)
			return -E2BIG;
		err = exec_push(img, src, word, len);
		if (err)
			return err;
		if (signal_fatal_pending())
			return -ERESTARTNOHAND;
	}
	return 0;
}

/* Room for strings: the limit without the pointers that will lie below them. */
static int exec_set_limit(struct exec_image *img)
{
	size_t limit = MIN((u64)EXEC_ARG_CEILING, img->stack_rlimit / 4);
	size_t pointers = ((size_t)MAX(img->argc, 1) + (size_t)img->envc) * sizeof(u64);

	limit = MAX(limit, (size_t)EXEC_ARG_MIN);
	if (limit <= pointers)
		return -E2BIG;
	img->arg_limit = limit - pointers + EXEC_TOP_BYTES;
	return 0;
}

int exec_copy_args(struct exec_image *img, const char *filename, const struct exec_source *src)
{
	int err;

	img->argc = exec_count(src, src->argv);
	if (img->argc < 0)
		return img->argc;
	img->envc = exec_count(src, src->envp);
	if (img->envc < 0)
		return img->envc;
	err = exec_set_limit(img);
	if (err)
		return err;
	img->arg_bytes = EXEC_TOP_BYTES;
	err = exec_push_kernel(img, filename);
	if (err)
		return err;
	img->execfn_off = img->arg_bytes;
	err = exec_push_vector(img, src, src->envp, img->envc);
	if (err)
		return err;
	img->env_off = img->arg_bytes;
	err = exec_push_vector(img, src, src->argv, img->argc);
	if (err)
		return err;
	/* A program without even argv[0] is an accident waiting to happen: Linux 5.18 gives it "". */
	if (!img->argc) {
		err = exec_push_kernel(img, "");
		img->argc = 1;
	}
	img->argv_off = img->arg_bytes;
	return err;
}

static u8 exec_byte(struct exec_image *img, size_t d)
{
	return exec_page_at(img, d)[PAGE_SIZE - 1 - (d - 1) % PAGE_SIZE];
}

/* #!: argv[0] makes way for interpreter, its argument if there is one, and the script's name. */
int exec_replace_argv0(struct exec_image *img, const char *interp, const char *arg, const char *script)
{
	size_t d = img->arg_bytes;
	int err;

	while (exec_byte(img, d))
		d--;
	img->arg_bytes = d - 1;
	err = exec_push_kernel(img, script);
	if (!err && arg) {
		err = exec_push_kernel(img, arg);
		img->argc++;
	}
	if (!err) {
		err = exec_push_kernel(img, interp);
		img->argc++;
	}
	img->argv_off = img->arg_bytes;
	return err;
}

void exec_free_args(struct exec_image *img)
{
	size_t i;

	for (i = 0; i < img->nr_arg_pages; i++)
		if (img->arg_pages[i])
			page_put(img->arg_pages[i]);
	kfree(img->arg_pages);
	img->arg_pages = NULL;
	img->nr_arg_pages = 0;
}
