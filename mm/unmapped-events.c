// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: what it does when memory goes offline.
 */

#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "unmapped-alloc.h"

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

/* Memory that goes offline must not be in the cache. */
VISIBLE_IF_KUNIT int unmapped_memory_callback(struct notifier_block *nb,
					      unsigned long action, void *data)
{
	const struct memory_notify *range = data;
	int nid = pfn_to_nid(range->start_pfn);

	switch (action) {
	case MEM_GOING_OFFLINE:
		unmapped_alloc_drain(nid);
		each_pageblock(range, PB_unmapped_block, break_poisoned_block);
		unmapped_alloc_drain(nid);
		break;
	case MEM_OFFLINE:
		each_pageblock(range, PB_unmapped_fragment, unmapped_forget);
		break;
	}
	return NOTIFY_OK;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_memory_callback);

/**
 * unmapped_events_init() - register the notifiers
 */
void __init unmapped_events_init(void)
{
	hotplug_memory_notifier(unmapped_memory_callback, DEFAULT_CALLBACK_PRI);
}
