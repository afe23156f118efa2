// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: memory that is isolated, and goes offline.
 *
 * alloc_contig_range() and memory offlining isolate pageblocks, and need all of
 * their pages to be free in the page allocator then. Free pages in the cache do
 * not prevent a pageblock from being isolated, as they have no reference. From
 * then on they are not handed out, but given back to the page allocator:
 *
 * - what is free already, when alloc_contig_range() calls
 *   unmapped_alloc_release_range(), or by the notifier below when memory
 *   goes offline;
 * - what is freed later, by a work item, since it can't be mapped in the context
 *   of a free.
 *
 * The free part of a partly used block stays. It would be of no use where the
 * used pages are in the same pageblock, as they are with pageblocks of PMD size.
 */

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pageblock-flags.h>
#include <linux/unmapped_alloc.h>
#include <linux/workqueue.h>

#include <kunit/visibility.h>

#include "internal.h"
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

/* === Memory hotplug ====================================================== */

static void each_pageblock(const struct memory_notify *range,
			   enum pageblock_bits bit,
			   void (*what)(struct page *page))
{
	unsigned long pfn = range->start_pfn;
	struct page *page;

	for (; pfn < range->start_pfn + range->nr_pages;
	     pfn += pageblock_nr_pages) {
		page = pfn_to_page(pfn);
		if (get_pfnblock_flags(page, pfn) & BIT(bit))
			what(page);
	}
}

/*
 * A block that lost a page to memory failure never becomes whole. Others are
 * left alone: their used pages keep the memory from going offline anyway.
 */
static void break_poisoned_block(struct page *page)
{
	unsigned long i;

	for (i = 0; i < pageblock_nr_pages; i++) {
		if (PageHWPoison(page + i)) {
			unmapped_zone_break_this(unmapped_page_zone(page), page);
			return;
		}
	}
}

/*
 * What is left is poisoned: the pages in use as well, as others would have kept
 * the memory from going offline.
 */
static void forget_pageblock(struct page *page)
{
	unsigned long i;

	for (i = 0; i < pageblock_nr_pages; i++) {
		if (!unmapped_page(page + i))
			continue;
		unmapped_image_deny(page + i, 0);
		unmapped_zone_lose_page(unmapped_page_zone(page), page + i);
	}
	unmapped_forget(page);
}

/* Some may still look at free pages that have just gone. */
static void sync_zones(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_zone_sync(&unmapped_node(nid)->zones[i]);
}

/* Memory that goes offline must not be in the cache. */
VISIBLE_IF_KUNIT int unmapped_memory_callback(struct notifier_block *nb,
					      unsigned long action, void *data)
{
	const struct memory_notify *range = data;
	int nid = pfn_to_nid(range->start_pfn);

	switch (action) {
	case MEM_GOING_OFFLINE:
		unmapped_report_pause(unmapped_node(nid));
		unmapped_alloc_drain(nid);
		each_pageblock(range, PB_unmapped_block, break_poisoned_block);
		unmapped_alloc_drain(nid);
		unmapped_report_resume(unmapped_node(nid));
		break;
	case MEM_OFFLINE:
		each_pageblock(range, PB_unmapped_fragment, forget_pageblock);
		sync_zones(nid);
		break;
	}
	return NOTIFY_OK;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_memory_callback);

/* === Boot ================================================================ */

/**
 * unmapped_isolate_init() - register the notifier
 */
void __init unmapped_isolate_init(void)
{
	/* Before page_ext goes, which has the pages' tags. */
	hotplug_memory_notifier(unmapped_memory_callback,
				DEFAULT_CALLBACK_PRI + 1);
}

/**
 * unmapped_isolate_init_node() - prepare a node for isolated pageblocks
 * @node: the node.
 */
void __init unmapped_isolate_init_node(struct unmapped_node *node)
{
	INIT_WORK(&node->isolated_work, isolated_work);
}
