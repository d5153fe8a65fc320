/* SPDX-License-Identifier: MIT */
#ifndef MM_LEAK_STAMP_H
#define MM_LEAK_STAMP_H

/* What the allocators note for leak.c on each allocation. Nothing in the release kernel. */
#include <kernel/mm/page.h>

#if HALCYON_DEBUG
extern u32 leak_now;	/* [a] the current epoch, from 1 on */

static inline u32 leak_epoch(void)
{
	return READ_ONCE(leak_now);
}

static inline void leak_stamp_page(struct page *page, vaddr_t place)
{
	page->leak_epoch = leak_epoch();
	page->alloc_place = place;
}

static inline void leak_stamp_copy(struct page *page, const struct page *from)
{
	page->leak_epoch = from->leak_epoch;
	page->alloc_place = from->alloc_place;
}

/* The page is mm's own and stays for good. */
static inline void leak_ignore_page(struct page *page)
{
	page->leak_epoch = 0;
}
#else
static inline void leak_stamp_page(struct page *page, vaddr_t place)
{
	(void)page, (void)place;
}

static inline void leak_stamp_copy(struct page *page, const struct page *from)
{
	(void)page, (void)from;
}

static inline void leak_ignore_page(struct page *page)
{
	(void)page;
}
#endif

#endif
