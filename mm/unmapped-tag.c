// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: accounting of the pages in the cache.
 *
 * In /proc/allocinfo, pages in the cache are charged to a line of the
 * allocator, and pages that are handed out are charged to their consumers. To
 * page_owner and the like, the former are free and the latter are allocated.
 *
 * Chunks are split and merged while they are free, so each free page has a
 * reference of its own. A chunk that is handed out has a reference on its first
 * page only, like one of the page allocator: it stands for all pages without a
 * reference. A page that entered the cache while profiling was off has none
 * either, and gets one when it is freed the next time.
 *
 * While profiling is off, nothing is charged, but what was charged before is
 * uncharged when its pages are handed out or come back: a reference that outlives
 * its chunk would later be taken for that of another, larger one.
 *
 * The page allocator leaves the references of pages that are freed while
 * profiling is off, and later ignores all but that of a chunk's first page.
 */

#include <linux/alloc_tag.h>
#include <linux/mm.h>
#include <linux/pgalloc_tag.h>

#include <kunit/visibility.h>

#include "page_alloc.h"
#include "unmapped-alloc.h"

#ifdef CONFIG_MEM_ALLOC_PROFILING
/**
 * unmapped_cache() - the tag to which free pages are charged
 *
 * The name of this function is what /proc/allocinfo shows.
 *
 * Context: Any context.
 * Return: the tag.
 */
struct alloc_tag *unmapped_cache(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_cache);

/* Charge a chunk to @tag as a single allocation. */
static void charge_chunk(struct page *page, unsigned int order,
			 struct alloc_tag *tag)
{
	unsigned long i;

	for (i = 1; i < 1UL << order; i++)
		pgalloc_tag_move(page + i, 1, NULL, 0);
	pgalloc_tag_move(page, 1, tag, 1U << order);
}

/**
 * __unmapped_tag_used() - charge a chunk from the cache to the current tag
 * @page: first page.
 * @order: order of the chunk.
 *
 * Context: Any context. Profiling is enabled.
 */
void __unmapped_tag_used(struct page *page, unsigned int order)
{
	charge_chunk(page, order, current->alloc_tag);
}

/**
 * __unmapped_tag_free() - charge the pages of a chunk to the cache
 * @page: first page of a chunk that was a single allocation.
 * @order: order of the chunk.
 *
 * Context: Any context. Profiling is enabled.
 */
void __unmapped_tag_free(struct page *page, unsigned int order)
{
	struct alloc_tag *tag = unmapped_cache();
	unsigned int nr = 1U << order;
	unsigned long i;

	for (i = 1; i < 1UL << order; i++)
		if (pgalloc_tag_move(page + i, 1, tag, 1))
			nr--;
	pgalloc_tag_move(page, nr, tag, 1);
}

/**
 * unmapped_tag_enter() - charge the pages of a new chunk to the cache
 * @page: first page of a chunk from the page allocator, which is charged as a
 *	single allocation. References of the other pages are old ones.
 * @order: order of the chunk.
 *
 * Context: Any context.
 */
void unmapped_tag_enter(struct page *page, unsigned int order)
{
	bool enabled = mem_alloc_profiling_enabled();
	unsigned int nr = 1U << order;
	unsigned long i;

	if (!enabled && !static_branch_unlikely(&mem_profiling_switched))
		return;

	for (i = 0; i < nr; i++)
		pgalloc_tag_move(page + i, enabled && !i ? nr : 0,
				 unmapped_cache(), enabled);
}

/**
 * __unmapped_tag_free_page() - charge a single page to the cache
 * @page: the page.
 *
 * Context: Any context. Profiling is enabled.
 */
void __unmapped_tag_free_page(struct page *page)
{
	pgalloc_tag_move(page, 1, unmapped_cache(), 1);
}

/**
 * __unmapped_tag_lose() - uncharge a chunk that is lost, or given back
 * @page: first page of a chunk of the allocator.
 * @order: order of the chunk.
 *
 * Context: Any context. Profiling is enabled, or was.
 */
void __unmapped_tag_lose(struct page *page, unsigned int order)
{
	unsigned int nr = 1U << order;
	unsigned long i;

	for (i = 1; i < 1UL << order; i++)
		if (pgalloc_tag_move(page + i, 1, NULL, 0))
			nr--;
	pgalloc_tag_move(page, nr, NULL, 0);
}
#endif

/**
 * unmapped_check_out() - pages from the page allocator enter the cache
 * @page: first page.
 * @order: order of the chunk.
 *
 * Context: Any context.
 */
void unmapped_check_out(struct page *page, unsigned int order)
{
	page_free_account(page, order);
	unmapped_tag_enter(page, order);
}

/**
 * unmapped_check_in() - pages from the cache go to the page allocator
 * @page: first page, about to be freed to the page allocator.
 * @order: order of the chunk.
 *
 * Context: Any context.
 */
void unmapped_check_in(struct page *page, unsigned int order)
{
	page_alloc_account(page, order, GFP_KERNEL);
#ifdef CONFIG_MEM_ALLOC_PROFILING
	if (mem_alloc_profiling_enabled())
		charge_chunk(page, order, unmapped_cache());
	else if (static_branch_unlikely(&mem_profiling_switched))
		/* The page allocator knows nothing of a reference per page. */
		__unmapped_tag_lose(page, order);
#endif
}
