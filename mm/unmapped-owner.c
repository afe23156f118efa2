// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: which pages the allocator owns.
 *
 * This has to be known for every page that is freed anywhere in the system, and
 * no page flag is available for it. A pageblock bit marks a whole block. A
 * second bit marks a PMD-size area of which only fragments are owned, and a
 * bitmap of the area records which pages these are; it exists as long as a page
 * of the area is owned.
 *
 * Writers of the bitmaps hold the xarray's lock; readers are protected by RCU.
 */

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/slab.h>
#include <linux/unmapped_alloc.h>
#include <linux/xarray.h>

#include <kunit/visibility.h>

#include "unmapped-alloc.h"

/**
 * struct area_map - the owned pages of an area that has fragments
 * @rcu: to free the map when its readers are done.
 * @nr_owned: number of bits set in @owned.
 * @owned: a bit for each page of the area.
 */
struct area_map {
	struct rcu_head rcu;
	unsigned int nr_owned;
	DECLARE_BITMAP(owned, UNMAPPED_BLOCK_PAGES);
};

/* Maps, by number of the PMD-size area. Locked with interrupts off. */
static DEFINE_XARRAY_FLAGS(unmapped_maps, XA_FLAGS_LOCK_IRQ);

static unsigned long area_index(const struct page *page)
{
	return page_to_pfn(page) >> PMD_ORDER;
}

static unsigned int area_offset(const struct page *page)
{
	return page_to_pfn(page) & (UNMAPPED_BLOCK_PAGES - 1);
}

/*
 * For free paths that don't need the flags of the pageblock otherwise. Read
 * without ordering, like these flags: a CPU that frees a page of the allocator
 * obtained it, directly or indirectly, from a CPU that saw this set.
 */
bool unmapped_alloc_used __read_mostly;

/*
 * On x86, a pageblock is as large as a block, but can be configured to be
 * smaller. And a zone does not always contain all of an area: on x86, the first
 * area lacks page 0.
 */
static void mark_area(struct page *page, enum pageblock_bits bit, bool set)
{
	unsigned long start = page_to_pfn(page) & ~(UNMAPPED_BLOCK_PAGES - 1);
	const struct zone *zone = page_zone(page);
	unsigned long pfn = max(start, zone->zone_start_pfn);
	unsigned long end = min(start + UNMAPPED_BLOCK_PAGES,
				zone_end_pfn(zone));

	for (; pfn < end; pfn = ALIGN(pfn + 1, pageblock_nr_pages)) {
		if (set)
			set_pfnblock_bit(pfn_to_page(pfn), pfn, bit);
		else
			clear_pfnblock_bit(pfn_to_page(pfn), pfn, bit);
	}
}

/**
 * unmapped_fragment() - is this page part of a fragment?
 * @page: any page, of a pageblock with PB_unmapped_fragment.
 *
 * Context: Any context. The result is stable for a page that the caller owns,
 * or has taken off the free lists.
 * Return: true if it is.
 */
bool unmapped_fragment(const struct page *page)
{
	struct area_map *map;

	guard(rcu)();
	map = xa_load(&unmapped_maps, area_index(page));
	return map && test_bit(area_offset(page), map->owned);
}

/**
 * unmapped_kind() - which kind of area is this page part of?
 * @page: any page.
 *
 * Context: As unmapped_fragment().
 * Return: the kind of area that @page is part of, UNMAPPED_NONE if not owned.
 */
enum unmapped_kind unmapped_kind(const struct page *page)
{
	return unmapped_kind_flags(page, get_pfnblock_flags(page,
							    page_to_pfn(page)));
}

bool unmapped_page(const struct page *page)
{
	return unmapped_kind(page) != UNMAPPED_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page);

/*
 * Find the area's map or insert @new, and return with the xarray locked. If
 * this may have to allocate and @gfp allows sleeping, interrupts must be on.
 */
static struct area_map *lock_map(struct page *page, struct area_map *new,
				 gfp_t gfp, unsigned long *flags)
{
	struct area_map *map;

	xa_lock_irqsave(&unmapped_maps, *flags);
	/* May drop the lock to allocate, but not after the exchange. */
	map = __xa_cmpxchg(&unmapped_maps, area_index(page), NULL, new, gfp);
	return map ? map : new;
}

static int own_fragment(struct page *page, unsigned int order, gfp_t gfp,
			bool *first)
{
	struct area_map *map, *new;
	unsigned long flags;
	int err;

	new = kzalloc_obj(*new, gfp);
	if (!new)
		return -ENOMEM;

	map = lock_map(page, new, gfp, &flags);
	err = xa_err(map);
	if (!err) {
		bitmap_set(map->owned, area_offset(page), 1U << order);
		map->nr_owned += 1U << order;
		mark_area(page, PB_unmapped_fragment, true);
	}
	xa_unlock_irqrestore(&unmapped_maps, flags);

	*first = map == new;
	if (map != new)
		kfree(new);
	return err;
}

/**
 * unmapped_own() - record that pages belong to the allocator from now on
 * @page: first page, taken from the page allocator.
 * @order: its order.
 * @gfp: flags for the memory that the record itself needs.
 * @first: set to whether no other page of the area was owned before.
 *
 * Context: Process context, may sleep if @gfp allows it.
 * Return: 0 or -ENOMEM.
 */
int unmapped_own(struct page *page, unsigned int order, gfp_t gfp, bool *first)
{
	if (!unmapped_alloc_is_used())
		WRITE_ONCE(unmapped_alloc_used, true);
	if (order < PMD_ORDER)
		return own_fragment(page, order, gfp, first);

	mark_area(page, PB_unmapped_block, true);
	*first = true;
	return 0;
}

/* Erase the map of an area that has no fragments any more. */
static void erase_map(struct page *page, struct area_map *map)
{
	lockdep_assert_held(&unmapped_maps.xa_lock);

	__xa_erase(&unmapped_maps, area_index(page));
	mark_area(page, PB_unmapped_fragment, false);
	kfree_rcu(map, rcu);
}

static void disown_fragment(struct page *page, unsigned int order)
{
	struct area_map *map;
	unsigned long flags;

	xa_lock_irqsave(&unmapped_maps, flags);
	map = xa_load(&unmapped_maps, area_index(page));
	if (!WARN_ON_ONCE(!map)) {
		bitmap_clear(map->owned, area_offset(page), 1U << order);
		map->nr_owned -= 1U << order;
		if (!map->nr_owned)
			erase_map(page, map);
	}
	xa_unlock_irqrestore(&unmapped_maps, flags);
}

/**
 * unmapped_disown() - forget pages that unmapped_own() recorded
 * @page: first page; neither on a free list nor handed out.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_disown(struct page *page, unsigned int order)
{
	if (order < PMD_ORDER)
		disown_fragment(page, order);
	else
		mark_area(page, PB_unmapped_block, false);
}

/**
 * unmapped_fragments_to_block() - turn an area of fragments into a block
 * @page: first page of a PMD-size area, all of whose pages are owned and free.
 *
 * Context: Any context except NMI. Called with the zone's lock held, so that no
 * page of the area is handed out concurrently.
 */
void unmapped_fragments_to_block(struct page *page)
{
	struct area_map *map;
	unsigned long flags;

	mark_area(page, PB_unmapped_block, true);

	xa_lock_irqsave(&unmapped_maps, flags);
	map = xa_load(&unmapped_maps, area_index(page));
	if (!WARN_ON_ONCE(!map || map->nr_owned != UNMAPPED_BLOCK_PAGES))
		erase_map(page, map);
	xa_unlock_irqrestore(&unmapped_maps, flags);
}

/**
 * unmapped_block_to_fragments() - turn a block into an area of fragments
 * @page: first page of the block.
 *
 * Context: Any context except NMI. Called with the zone's lock held, so that no
 * page of the area is put back concurrently.
 * Return: 0 or -ENOMEM.
 */
int unmapped_block_to_fragments(struct page *page)
{
	bool first;
	int err;

	err = own_fragment(page, PMD_ORDER, GFP_NOWAIT | __GFP_NOWARN, &first);
	if (!err)
		mark_area(page, PB_unmapped_block, false);
	return err;
}

/**
 * unmapped_forget_area() - forget an area whose memory is gone
 * @page: first page of a PMD-size area that went offline.
 *
 * Only pages that were lost to memory failure are left in it. Other memory may
 * take their place later.
 *
 * Context: Any context except NMI.
 */
void unmapped_forget_area(struct page *page)
{
	struct area_map *map;
	unsigned long flags;

	xa_lock_irqsave(&unmapped_maps, flags);
	map = xa_load(&unmapped_maps, area_index(page));
	if (map)
		erase_map(page, map);
	xa_unlock_irqrestore(&unmapped_maps, flags);
}
