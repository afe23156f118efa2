// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: what it does when the system hibernates or takes
 * memory offline.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/suspend.h>
#include <linux/swap.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "unmapped-alloc.h"

/* === Hibernation ========================================================= */

/* Give back the free part of a partly used block, if there is one. */
static bool break_block(int nid)
{
	struct unmapped_zone *uz = unmapped_node(nid)->zones;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (unmapped_zone_break_block(&uz[i], 1))
			return unmapped_release_zone(&uz[i], ULONG_MAX, true);
	return false;
}

/* Give all memory back if none is in use. Returns the pages still owned. */
static unsigned long drain_all_of(int nid)
{
	struct unmapped_count count;

	unmapped_alloc_drain(nid);
	unmapped_alloc_count(nid, &count);
	if (count.owned && !count.used) {
		/* Only blocks that lost a page to memory failure are left. */
		while (break_block(nid))
			;
		unmapped_alloc_count(nid, &count);
	}
	return count.owned;
}

static unsigned long drain_all_nodes(void)
{
	unsigned long owned = 0;
	int nid;

	/* A per-CPU batch of folios may hold the last reference to a page. */
	lru_add_drain_all();
	for_each_online_node(nid)
		owned += drain_all_of(nid);
	return owned;
}

/*
 * A hibernation image is read through the direct map and written to disk. From
 * PM_HIBERNATION_PREPARE on, no page can be allocated until the image has been
 * created or the attempt is abandoned; a page fault that needs one is retried
 * until then.
 */
VISIBLE_IF_KUNIT int unmapped_prepare_for_image(struct notifier_block *nb,
						unsigned long action,
						void *data)
{
	unsigned long owned;

	switch (action) {
	case PM_HIBERNATION_PREPARE:
		unmapped_refill_stop(true);
		/* With no cache and no refills, nothing can be handed out. */
		owned = drain_all_nodes();
		if (!owned)
			break;
		unmapped_refill_stop(false);
		pr_info("no hibernation, %lu pages must not be in the image\n",
			owned);
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
		unmapped_refill_stop(false);
		break;
	}
	return NOTIFY_OK;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_prepare_for_image);

/* === Memory hotplug ====================================================== */

static void each_area(const struct memory_notify *range, enum pageblock_bits bit,
		      void (*what)(struct page *page))
{
	unsigned long pfn = range->start_pfn;
	struct page *page;

	for (; pfn < range->start_pfn + range->nr_pages;
	     pfn += UNMAPPED_BLOCK_PAGES) {
		page = pfn_to_page(pfn);
		if (get_pfnblock_flags(page, pfn) & BIT(bit))
			what(page);
	}
}

/*
 * A block that lost a page to memory failure never becomes whole. Others are
 * left alone: their used pages keep the memory from going offline anyway.
 */
static void break_poisoned_block(struct page *block)
{
	unsigned long i;

	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++) {
		if (PageHWPoison(block + i)) {
			unmapped_zone_break_this(unmapped_page_zone(block),
						 block);
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
		each_area(range, PB_unmapped_block, break_poisoned_block);
		unmapped_alloc_drain(nid);
		break;
	case MEM_OFFLINE:
		each_area(range, PB_unmapped_fragment, unmapped_forget_area);
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
	pm_notifier(unmapped_prepare_for_image, 0);
	hotplug_memory_notifier(unmapped_memory_callback, DEFAULT_CALLBACK_PRI);
}
