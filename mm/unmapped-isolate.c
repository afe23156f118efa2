// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: pageblocks that are isolated.
 *
 * alloc_contig_range() and memory offlining isolate pageblocks, and need all of
 * their pages to be free in the page allocator then. Free pages in the cache do
 * not prevent a pageblock from being isolated, as they have no reference. From
 * then on they are not handed out, but given back to the page allocator:
 *
 * - what is free already, when alloc_contig_range() calls
 *   unmapped_alloc_release_range(), or by the notifier in unmapped-events.c when
 *   memory goes offline;
 * - what is freed later, by a work item, since it can't be mapped in the context
 *   of a free.
 *
 * The free part of a partly used block stays. It would be of no use, because the
 * used pages are in the same pageblock.
 */

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/workqueue.h>

#include "unmapped-alloc.h"

static void isolated_work(struct work_struct *work)
{
	struct unmapped_node *node = container_of(work, struct unmapped_node,
						  isolated_work);

	unmapped_alloc_drain(node->nid);
}

/**
 * unmapped_alloc_release_range() - give back the free pages of isolated memory
 * @start: first page frame, in an isolated pageblock.
 * @end: end of the range.
 *
 * Called by alloc_contig_range(). Like memory offlining, it empties all of the
 * node's cache if a part of the range belongs to it.
 *
 * Context: Process context, may sleep.
 */
void unmapped_alloc_release_range(unsigned long start, unsigned long end)
{
	unsigned long pfn;
	struct page *page;

	if (!unmapped_alloc_is_used())
		return;

	for (pfn = start; pfn < end; pfn = ALIGN(pfn + 1, pageblock_nr_pages)) {
		page = pfn_to_page(pfn);
		if (get_pfnblock_flags(page, pfn) & UNMAPPED_PAGEBLOCK_MASK) {
			unmapped_alloc_drain(page_to_nid(page));
			return;
		}
	}
}

/**
 * unmapped_isolate_init() - prepare a node for isolated pageblocks
 * @node: the node.
 */
void __init unmapped_isolate_init(struct unmapped_node *node)
{
	INIT_WORK(&node->isolated_work, isolated_work);
}
