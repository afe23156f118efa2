/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 *
 * See Documentation/mm/unmapped_alloc.rst for usage and design.
 */
#ifndef _LINUX_UNMAPPED_ALLOC_H
#define _LINUX_UNMAPPED_ALLOC_H

#include <linux/alloc_tag.h>
#include <linux/errno.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct folio;
struct page;

#ifdef CONFIG_UNMAPPED_ALLOC

/**
 * unmapped_alloc_available() - can this boot hand out unmapped pages?
 *
 * The answer does not change once the initcalls have run, so that a consumer
 * may pick its way of working by it.
 *
 * Context: Any context.
 * Return: true if the direct map can be changed and the allocator is ready.
 */
bool unmapped_alloc_available(void);

/**
 * unmapped_alloc_enable() - announce the first use of the allocator
 *
 * Arms the check in the page allocator's free path. A consumer calls this
 * once before its first allocation, for example when a file is created; the
 * call is cheap when the allocator is in use already.
 *
 * Context: Process context, may sleep. Takes cpu_hotplug_lock, therefore not
 * to be called with a lock held that nests inside of it (mmap_lock does).
 * Return: 0, or -EOPNOTSUPP if unmapped_alloc_available() is false.
 */
int unmapped_alloc_enable(void);

struct page *unmapped_pages_alloc_node_noprof(gfp_t gfp, unsigned int order,
					      int nid);

/**
 * unmapped_pages_alloc_node() - allocate pages absent from the direct map
 * @gfp: GFP_* flags. Zone modifiers for DMA, __GFP_THISNODE, __GFP_ACCOUNT,
 *	__GFP_COMP, __GFP_NOWARN and the reclaim modifiers mean what they mean
 *	for alloc_pages(). __GFP_ZERO is implied; __GFP_MOVABLE and
 *	__GFP_HIGHMEM are ignored, the memory is unmovable; __GFP_NOFAIL is not
 *	supported.
 * @order: 2^@order contiguous pages, naturally aligned; 0 to PMD_ORDER.
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 *
 * The pages are zeroed, and no CPU has a translation for them in the direct
 * map. The kernel can't reach them through page_address(); user space can have
 * them mapped, devices can access them. As with alloc_pages(), pages of an
 * order above 0 are only then one compound page if @gfp has __GFP_COMP.
 *
 * Context: Any context except NMI, may sleep if @gfp allows blocking. If it
 * does not, only pages that are unmapped already can be had.
 * unmapped_alloc_enable() must have succeeded before.
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc_node(gfp, order, nid) \
	alloc_hooks(unmapped_pages_alloc_node_noprof(gfp, order, nid))

/**
 * unmapped_pages_alloc() - allocate pages absent from the direct map
 * @gfp: GFP_* flags, see unmapped_pages_alloc_node().
 * @order: 2^@order contiguous pages; 0 to PMD_ORDER.
 *
 * unmapped_pages_alloc_node() on the nearest node with memory.
 *
 * Context: As unmapped_pages_alloc_node().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc(gfp, order) \
	unmapped_pages_alloc_node(gfp, order, NUMA_NO_NODE)

struct folio *unmapped_folio_alloc_noprof(gfp_t gfp, unsigned int order);

/**
 * unmapped_folio_alloc() - allocate a folio absent from the direct map
 * @gfp: GFP_* flags, see unmapped_pages_alloc_node(); __GFP_COMP is implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 *
 * The last folio_put() gives the memory back to the allocator, from whatever
 * context it comes.
 *
 * Context: As unmapped_pages_alloc_node().
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_folio_alloc(gfp, order) \
	alloc_hooks(unmapped_folio_alloc_noprof(gfp, order))

/**
 * unmapped_pages_free() - give pages back
 * @page: first page, from unmapped_pages_alloc() and the like.
 * @order: the order that was allocated.
 *
 * Drops a reference. When it is the last one the contents are cleared before
 * the call returns, and the pages stay out of the direct map, ready for the
 * next allocation. Pages that somebody else still has a reference to are given
 * back when that reference is dropped.
 *
 * Context: Any context except NMI.
 */
void unmapped_pages_free(struct page *page, unsigned int order);

/**
 * unmapped_folio_clear() - clear a folio that is absent from the direct map
 * @folio: the folio, from unmapped_folio_alloc().
 *
 * Freeing clears anyway. This is for an owner who wants the contents to be
 * gone now, whoever else still has a reference. Interrupts are off while a
 * page is cleared, one page at a time.
 *
 * Context: Any context except NMI.
 */
void unmapped_folio_clear(struct folio *folio);

/**
 * unmapped_page() - is this page one of the unmapped page allocator's?
 * @page: any page.
 *
 * True for pages that are handed out and for free pages in the cache. Only
 * then stable when the caller has a reference to @page.
 *
 * Context: Any context.
 * Return: true if @page must not be accessed through the direct map.
 */
bool unmapped_page(const struct page *page);

#else /* CONFIG_UNMAPPED_ALLOC */

static inline bool unmapped_alloc_available(void)
{
	return false;
}

static inline int unmapped_alloc_enable(void)
{
	return -EOPNOTSUPP;
}

static inline struct page *
unmapped_pages_alloc_node(gfp_t gfp, unsigned int order, int nid)
{
	return NULL;
}

static inline struct page *unmapped_pages_alloc(gfp_t gfp, unsigned int order)
{
	return NULL;
}

static inline struct folio *
unmapped_folio_alloc(gfp_t gfp, unsigned int order)
{
	return NULL;
}

static inline void unmapped_pages_free(struct page *page, unsigned int order)
{
}

static inline void unmapped_folio_clear(struct folio *folio)
{
}

static inline bool unmapped_page(const struct page *page)
{
	return false;
}

#endif /* CONFIG_UNMAPPED_ALLOC */

#endif /* _LINUX_UNMAPPED_ALLOC_H */
