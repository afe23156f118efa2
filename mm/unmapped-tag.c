// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: accounting of the pages in the cache.
 *
 * In /proc/allocinfo, pages in the cache are charged to the allocator, and
 * pages that are handed out are charged to their consumers. To page_owner and
 * the like, the former are free and the latter are allocated.
 */

#include <linux/alloc_tag.h>
#include <linux/mm.h>
#include <linux/percpu.h>

#include "page_alloc.h"
#include "unmapped-alloc.h"

#ifdef CONFIG_MEM_ALLOC_PROFILING
static struct alloc_tag *cache_tag(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

void __unmapped_charge_cache(long nr_pages)
{
	this_cpu_add(cache_tag()->counters->bytes, nr_pages * PAGE_SIZE);
}
#endif

/**
 * unmapped_check_out() - pages from the page allocator enter the cache
 * @page: first page.
 * @order: order of the chunk.
 */
void unmapped_check_out(struct page *page, unsigned int order)
{
	page_free_account(page, order);
	unmapped_charge_cache(1L << order);
}

/**
 * unmapped_check_in() - pages from the cache go to the page allocator
 * @page: first page, about to be freed to the page allocator.
 * @order: order of the chunk.
 */
void unmapped_check_in(struct page *page, unsigned int order)
{
	struct alloc_tag * __maybe_unused old;

	unmapped_charge_cache(-(1L << order));
	old = alloc_tag_save(cache_tag());
	page_alloc_account(page, order, GFP_KERNEL, ALLOC_DEFAULT);
	alloc_tag_restore(cache_tag(), old);
}
