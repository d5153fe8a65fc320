/* SPDX-License-Identifier: MIT */
/*
 * Memory for devices. The page allocator's blocks are contiguous and aligned to their size, so a buffer is a block; of its
 * zones the lower one, below 4 GiB, serves devices that cannot reach all of memory. A device that reaches less than 4 GiB is
 * refused at dma_set_limit(), because no zone promises that: no PC of this century has one that matters here.
 */
#include <kernel/core/assert.h>
#include <kernel/dev/device.h>
#include <lib/errno.h>
#include <lib/fls.h>

#define LOW_ZONE_LAST 0xffffffffull

int dma_set_limit(struct device *dev, u64 highest)
{
	if (highest < LOW_ZONE_LAST)
		return -EIO;
	dev->dma_limit = highest;
	return 0;
}

static u32 order_of(size_t bytes)
{
	u32 order = 0;

	while (order <= PAGE_MAX_ORDER && (PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static bool in_reach(const struct device *dev, u64 bus, size_t bytes)
{
	return bus <= dev->dma_limit && bytes - 1 <= dev->dma_limit - bus;
}

/* From anywhere first: the lower zone is for those who have no choice. */
int dma_alloc(struct device *dev, size_t bytes, size_t align, struct dma_buf *out)
{
	u32 order = order_of(MAX(bytes, align));
	struct page *page;

	*out = (struct dma_buf){ 0 };
	if (!bytes || !align || (align & (align - 1)) || order > PAGE_MAX_ORDER)
		return -EINVAL;
	page = page_alloc(order, MM_ZERO | (dev->dma_limit <= LOW_ZONE_LAST ? MM_DMA32 : 0));
	if (page && !in_reach(dev, page_to_phys(page), bytes)) {
		page_put(page);
		page = page_alloc(order, MM_ZERO | MM_DMA32);
	}
	if (!page)
		return -ENOMEM;
	if (!in_reach(dev, page_to_phys(page), bytes)) {
		page_put(page);
		return -EIO;
	}
	*out = (struct dma_buf){ page_address(page), page_to_phys(page), bytes, order };
	return 0;
}

void dma_free(struct dma_buf *buf)
{
	if (buf->virt)
		page_put(virt_to_page(buf->virt));
	*buf = (struct dma_buf){ 0 };
}

int dma_map(struct device *dev, const void *virt, size_t bytes, u64 *bus)
{
	VERIFY(bytes && hal_is_direct_map((vaddr_t)virt));
	*bus = hal_virt_to_phys(virt);
	return in_reach(dev, *bus, bytes) ? 0 : -EIO;
}
