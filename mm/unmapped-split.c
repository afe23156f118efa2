// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: free memory where the direct map is split already.
 *
 * A fragment splits the entry of the direct map that it is removed from. Where
 * there are small entries anyway, for example because a part of the area is
 * read-only data of a module, it splits nothing. On fragmented memory, there are
 * many such areas, and what is free there is found by looking at the page tables
 * of the direct map.
 *
 * That is only worth it for memory that stays in use for long. The search is
 * limited, and continues where the last one has ended.
 */

#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/kmsan.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>

#include <trace/events/kmem.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

/* Areas that are looked at for one request: 8 GiB with areas of 2 MiB. */
#define MAX_AREAS	4096

/* Chunks that are removed from the direct map with a single TLB flush. */
#define MAX_CHUNKS	32

/**
 * struct search - what was found
 * @gfp: from unmapped_no_reclaim_gfp().
 * @nr_pages: number of pages that are still missing.
 * @nr_areas: number of areas that may still be looked at.
 * @nr: number of chunks.
 * @page: their first pages.
 * @order: their orders.
 */
struct search {
	gfp_t gfp;
	unsigned long nr_pages;
	unsigned int nr_areas;
	unsigned int nr;
	struct page *page[MAX_CHUNKS];
	unsigned char order[MAX_CHUNKS];
};

/* A hint where to continue. Zones do not overlap, so one is enough for all. */
static unsigned long next_pfn;

static bool has_page_table(unsigned long addr)
{
	p4d_t *p4d = p4d_offset(pgd_offset_k(addr), addr);
	pud_t *pud;
	pmd_t pmd;

	if (p4d_none(*p4d) || p4d_leaf(*p4d))
		return false;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud) || pud_leaf(*pud))
		return false;
	pmd = pmdp_get(pmd_offset(pud, addr));
	return pmd_present(pmd) && !pmd_leaf(pmd);
}

/*
 * Is an area mapped by small entries? Page tables are freed with init_mm's
 * mmap_lock held for writing. vmemmap_remap_range() may reclaim memory with it
 * held, so this must not be called in reclaim.
 */
static bool is_split(unsigned long pfn)
{
	guard(mmap_read_lock)(&init_mm);
	return has_page_table((unsigned long)__va(PFN_PHYS(pfn)));
}

/* Take what is free in an area, until there is enough. */
static void take_free(struct zone *zone, struct page *page, struct search *s)
{
	struct page *end = page + UNMAPPED_BLOCK_PAGES;
	unsigned int order;

	for (; page < end && s->nr < MAX_CHUNKS && s->nr_pages;
	     page += 1UL << order) {
		order = 0;
		if (!PageBuddy(page))
			continue;
		order = buddy_order_unsafe(page);
		/* Whole blocks are not for here; and it may be no order any more. */
		if (order >= PMD_ORDER)
			return;
		if (!unmapped_refill_can_spare(zone, order, WMARK_LOW, s->gfp) ||
		    !alloc_frozen_chunk(page, order, s->gfp))
			continue;
		trace_mm_page_alloc(page, order, s->gfp, MIGRATE_UNMOVABLE);
		kmsan_alloc_page(page, order, s->gfp);
		s->page[s->nr] = page;
		s->order[s->nr++] = order;
		s->nr_pages -= min(s->nr_pages, 1UL << order);
	}
}

/*
 * The first page of an area, NULL if it is not in the zone any more: memory may
 * have been removed while this task slept. As in compaction, nothing keeps it from
 * being removed from here on.
 */
static struct page *area_of_zone(struct zone *zone, unsigned long pfn)
{
	if (!pfn_to_online_page(pfn))
		return NULL;
	return pageblock_pfn_to_page(pfn, pfn + UNMAPPED_BLOCK_PAGES, zone);
}

static bool is_done(const struct search *s)
{
	return s->nr == MAX_CHUNKS || !s->nr_pages || !s->nr_areas;
}

static void search_range(struct zone *zone, unsigned long pfn,
			 unsigned long end, struct search *s)
{
	struct page *page;

	pfn = ALIGN(pfn, UNMAPPED_BLOCK_PAGES);
	for (; pfn + UNMAPPED_BLOCK_PAGES <= end && !is_done(s);
	     pfn += UNMAPPED_BLOCK_PAGES) {
		s->nr_areas--;
		if (is_split(pfn)) {
			page = area_of_zone(zone, pfn);
			if (page)
				take_free(zone, page, s);
		}
		WRITE_ONCE(next_pfn, pfn);
		cond_resched();
	}
}

static void search_zone(struct zone *zone, struct search *s)
{
	unsigned long start = zone->zone_start_pfn, end = zone_end_pfn(zone);
	unsigned long from = clamp(READ_ONCE(next_pfn), start, end);

	if (!unmapped_refill_can_spare(zone, 0, WMARK_LOW, s->gfp))
		return;
	search_range(zone, from, end, s);
	search_range(zone, start, from, s);
}

/**
 * unmapped_refill_split() - add free memory where the direct map is split
 * @gfp: GFP_* flags of the consumer.
 * @nr_pages: number of pages that are needed.
 *
 * Splits no entry of the direct map. Neither reclaims nor compacts memory, and
 * leaves pageblocks alone that are for movable pages.
 *
 * Context: Process context, may sleep; not in reclaim.
 * Return: number of pages added to the cache. There may be more, or other users
 * may have taken some.
 */
unsigned long unmapped_refill_split(gfp_t gfp, unsigned long nr_pages)
{
	struct search s = {
		.gfp = unmapped_no_reclaim_gfp(unmapped_source_gfp(gfp)),
		.nr_pages = nr_pages,
		.nr_areas = MAX_AREAS,
	};
	unsigned long got = 0;
	struct zoneref *z;
	struct zone *zone;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_refill_split, gfp, nr_pages);

	if (unmapped_clear_prepare(true))
		return 0;

	for_each_zone_zonelist(zone, z, node_zonelist(numa_mem_id(), s.gfp),
			       gfp_zone(s.gfp)) {
		if (cpusets_enabled() && !cpuset_zone_allowed(zone, s.gfp))
			continue;
		do {
			s.nr = 0;
			search_zone(zone, &s);
			got += unmapped_refill_given(s.page, s.order, s.nr,
						     s.gfp);
		} while (s.nr && s.nr_pages && s.nr_areas);
	}
	return got;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_split);
