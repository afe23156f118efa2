// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: taking memory from the page allocator.
 *
 * A caller that finds the cache empty takes one block and does not clear it, so
 * that its page fault pays for no more than that. Further demand is met by a
 * work item, which takes several blocks with a single TLB flush. It runs before
 * the cache is empty, so that callers rarely find it empty. How much it takes,
 * and when, is decided in unmapped-demand.c.
 */

#include <linux/atomic.h>
#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include <trace/events/unmapped_alloc.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

VISIBLE_IF_KUNIT struct page *unmapped_source_alloc(gfp_t gfp,
						    unsigned int order, int nid,
						    nodemask_t *nodemask)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_source_alloc, gfp, order, nid,
				   nodemask);

	return alloc_hooks_tag(unmapped_cache(),
			       __alloc_frozen_pages_noprof(gfp, order, nid,
							   nodemask,
							   ALLOC_NO_INIT));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_source_alloc);

/**
 * unmapped_source_gfp() - flags for the page allocator
 * @gfp: the consumer's flags.
 *
 * Return: flags for unmovable memory of the same zones, not cleared.
 */
gfp_t unmapped_source_gfp(gfp_t gfp)
{
	return gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE | __GFP_RECLAIMABLE |
		       __GFP_COMP | __GFP_ACCOUNT | __GFP_NOFAIL | __GFP_ZERO |
		       __GFP_ZEROTAGS | __GFP_SKIP_ZERO | __GFP_SKIP_KASAN);
}

/**
 * unmapped_no_reclaim_gfp() - flags for memory that is not worth reclaim
 * @gfp: from unmapped_source_gfp().
 *
 * Return: flags for memory that is free. Neither the caller nor kswapd reclaims
 * or compacts memory for it.
 */
gfp_t unmapped_no_reclaim_gfp(gfp_t gfp)
{
	gfp &= ~(__GFP_RECLAIM | __GFP_RETRY_MAYFAIL | __GFP_HIGH);
	return gfp | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

/* The chunk could not be removed from the direct map. */
static void refill_failed(struct page *page, unsigned int order, int err)
{
	count_vm_event(UNMAPPED_REFILL_FAIL);
	if (err == -ENOTRECOVERABLE) {
		unmapped_tag_enter(page, order);
		unmapped_tag_lose(page, order);
		unmapped_zone_lose(unmapped_page_zone(page), order);
		return;
	}
	unmapped_disown(page, order);
	free_frozen_pages(page, order);
}

/* The bitmap is small, so reclaim is allowed for it. Blocks have none. */
static gfp_t own_gfp(gfp_t gfp)
{
	return (gfp & GFP_RECLAIM_MASK) | __GFP_RECLAIM;
}

/* Own a chunk, and remove it from the direct map without a TLB flush. */
static bool remove_chunk(struct page *page, unsigned int order, gfp_t gfp,
			 bool *first)
{
	int err;

	if (unmapped_own(page, order, own_gfp(gfp), first)) {
		count_vm_event(UNMAPPED_REFILL_FAIL);
		free_frozen_pages(page, order);
		return false;
	}

	err = unmapped_direct_map_remove(page, order);
	if (err)
		refill_failed(page, order, err);
	return !err;
}

static struct page *get_chunk(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	struct page *page;
	bool first;

	page = unmapped_source_alloc(gfp, order, nid, nodemask);
	if (!page || !remove_chunk(page, order, gfp, &first))
		return NULL;

	if (order < PMD_ORDER && first)
		count_vm_event(UNMAPPED_AREA_SPLIT);
	return page;
}

/* Add a chunk after the flush. With init_on_free, it is zero already. */
static void add_chunk(struct page *page, unsigned int from, int order)
{
	trace_unmapped_refill(page, from);
	unmapped_check_out(page, from);
	unmapped_zone_insert(unmapped_page_zone(page), page, from, order,
			     want_init_on_free());
	count_vm_event(from == PMD_ORDER ? UNMAPPED_REFILL_BLOCK :
					   UNMAPPED_REFILL_FRAGMENT);
	unmapped_idle_wake(unmapped_node(page_to_nid(page)));
}

/* Refills that may have chunks which are unmapped but not in the cache yet. */
static atomic_t refills_running;

/**
 * unmapped_refill_running() - is there a refill that has not finished?
 *
 * For the moment before a hibernation image is created, when nothing else can
 * run: the pages of an interrupted refill are not counted as owned yet.
 *
 * Context: Any context.
 * Return: true if there is one.
 */
bool unmapped_refill_running(void)
{
	return atomic_read(&refills_running);
}

/**
 * unmapped_refill_fragment() - add a fragment to the cache
 * @gfp: flags for the page allocator.
 * @from: order of the fragment.
 * @order: order of the part of it that is handed out.
 * @nid: node to allocate from.
 * @nodemask: nodes that are allowed, NULL for all.
 *
 * Context: Process context, may sleep.
 * Return: the first page of 2^@order, as from unmapped_zone_take(), or NULL.
 */
struct page *unmapped_refill_fragment(gfp_t gfp, unsigned int from,
				      unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page;

	atomic_inc(&refills_running);
	page = get_chunk(gfp, from, nid, nodemask);
	if (page) {
		unmapped_direct_map_flush();
		add_chunk(page, from, order);
	}
	atomic_dec(&refills_running);
	return page;
}

/**
 * unmapped_refill_given() - add certain fragments to the cache
 * @pages: their first pages, frozen, from the page allocator; set to NULL if a
 *	fragment could not be added and was freed.
 * @orders: their orders.
 * @nr: number of fragments; may be 0.
 * @gfp: flags for the page allocator.
 *
 * They are not counted as splits of the direct map.
 *
 * Context: Process context, may sleep.
 * Return: number of pages added.
 */
unsigned long unmapped_refill_given(struct page **pages,
				    const unsigned char *orders,
				    unsigned int nr, gfp_t gfp)
{
	unsigned long got = 0;
	unsigned int i;
	bool first;

	atomic_inc(&refills_running);
	for (i = 0; i < nr; i++) {
		if (remove_chunk(pages[i], orders[i], gfp, &first))
			got += 1UL << orders[i];
		else
			pages[i] = NULL;
	}
	if (got)
		unmapped_direct_map_flush();
	for (i = 0; i < nr; i++)
		if (pages[i])
			add_chunk(pages[i], orders[i], -1);
	atomic_dec(&refills_running);
	return got;
}

/* === What can be spared ================================================== */

/**
 * unmapped_refill_can_spare() - can a zone spare a chunk?
 * @zone: the zone.
 * @order: order of the chunk.
 * @wmark: watermark that the zone has to be above then.
 * @gfp: flags for the page allocator.
 *
 * Context: Any context.
 * Return: true if such a chunk is free, and can be spared.
 */
bool unmapped_refill_can_spare(struct zone *zone, int order,
			       enum zone_watermarks wmark, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_refill_can_spare, zone, order,
				   wmark, gfp);

	return zone_watermark_ok(zone, order, wmark_pages(zone, wmark),
				 gfp_zone(gfp), ALLOC_DEFAULT);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_can_spare);

/* -1 if there is none. */
static int largest_free_order(struct zone *zone, int min, bool any_type)
{
	struct free_area *area;
	int order;

	for (order = NR_PAGE_ORDERS - 1; order >= min; order--) {
		area = &zone->free_area[order];
		/* Only a hint, so the zone's lock is not taken. */
		if (data_race(any_type ? area->nr_free > 0 :
			      !free_area_empty(area, MIGRATE_UNMOVABLE)))
			return order;
	}
	return -1;
}

/*
 * The order of the chunk to take, from @min to @max, -1 if there is none.
 *
 * Slabs and stacks need chunks, too. When they find none in pageblocks of their
 * type, they take them from others, which raises the watermarks for a while and
 * so wakes kswapd and kcompactd. So take only chunks above
 * PAGE_ALLOC_COSTLY_ORDER: for smaller ones, a whole batch would move to the
 * CPU's list. A part of a pageblock of another type is taken only if there is
 * nothing else: the page allocator would take the largest one there.
 */
VISIBLE_IF_KUNIT int unmapped_refill_order(struct zone *zone, int min, int max)
{
	int order = -1;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_refill_order, zone, min, max);

	if (max >= (int)pageblock_order)
		order = largest_free_order(zone, max(min, (int)pageblock_order),
					   true);
	if (order < 0)
		order = largest_free_order(zone, min, false);
	if (order < 0)
		order = largest_free_order(zone, min, true);

	order = min(order, max);
	return order > PAGE_ALLOC_COSTLY_ORDER ? order : min(order, min);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_order);

/*
 * When only single pages are free, most requests skip the search. As with
 * deferred compaction, each failure doubles the number of those that do. Not
 * for long, because a single page splits an entry of the direct map.
 */
#define REFILL_MAX_DEFER_SHIFT	4

static bool search_is_deferred(struct unmapped_zone *uz)
{
	unsigned int left = READ_ONCE(uz->skip_search);

	if (!left || time_after(jiffies, READ_ONCE(uz->searched) + HZ))
		return false;
	/* Concurrent callers may count one request for two. */
	WRITE_ONCE(uz->skip_search, left - 1);
	return true;
}

static void defer_search(struct unmapped_zone *uz, int found)
{
	unsigned int shift = 0;

	if (!found)
		shift = min(READ_ONCE(uz->defer_shift) + 1,
			    REFILL_MAX_DEFER_SHIFT);
	WRITE_ONCE(uz->defer_shift, shift);
	WRITE_ONCE(uz->skip_search, (1U << shift) - 1);
	WRITE_ONCE(uz->searched, jiffies);
}

/**
 * unmapped_refill_spare() - the largest chunk that is free and can be spared
 * @gfp: from unmapped_no_reclaim_gfp().
 * @nid: node to allocate from.
 * @nodemask: nodes that are allowed, NULL for all.
 * @min: the lowest order that is of use.
 * @max: the highest order that is of use.
 *
 * A zone can spare what leaves it above its low watermark. To ask first is
 * cheaper than to try each order.
 *
 * Context: Any context.
 * Return: the order, -1 if there is no such chunk. 0 without a search for some
 * of the requests after one that found no more than that.
 */
int unmapped_refill_spare(gfp_t gfp, int nid, nodemask_t *nodemask,
			  unsigned int min, unsigned int max)
{
	struct unmapped_zone *uz = &unmapped_node(nid)->zones[gfp_zone(gfp)];
	bool all = !min && max == PMD_ORDER;
	int order, best = (int)min - 1;
	struct zoneref *z;
	struct zone *zone;

	if (all && search_is_deferred(uz))
		return 0;

	for_each_zone_zonelist_nodemask(zone, z, node_zonelist(nid, gfp),
					gfp_zone(gfp), nodemask) {
		if (cpusets_enabled() && !cpuset_zone_allowed(zone, gfp))
			continue;
		order = unmapped_refill_order(zone, min, max);
		/* The page allocator looks in the first zone for a fragment. */
		if (best >= (int)min && order < PMD_ORDER)
			continue;
		while (order > best && !unmapped_refill_can_spare(zone, order,
								  WMARK_LOW, gfp))
			order--;
		best = max(best, order);
	}
	if (all)
		defer_search(uz, best);
	return best < (int)min ? -1 : best;
}

/*
 * More than what was requested must leave the zone that it comes from above its
 * high watermark, so that nothing has to be reclaimed for it.
 */
static bool can_spare_block(gfp_t gfp, int nid, nodemask_t *nodemask)
{
	struct zoneref *z;
	struct zone *zone;

	for_each_zone_zonelist_nodemask(zone, z, node_zonelist(nid, gfp),
					gfp_zone(gfp), nodemask)
		if (unmapped_refill_can_spare(zone, PMD_ORDER, WMARK_LOW, gfp))
			return unmapped_refill_can_spare(zone, PMD_ORDER,
							 WMARK_HIGH, gfp);
	return false;
}

/* === Blocks ============================================================== */

/*
 * Add @nr blocks to the cache, or fewer if no more are free. 2^@order pages of
 * the first one are handed out, none if @order is -1.
 */
static struct page *add_blocks(gfp_t gfp, int order, int nid,
			       nodemask_t *nodemask, unsigned int nr)
{
	struct page *pages[UNMAPPED_MAX_BLOCKS];
	unsigned int i, got = 0;

	nr = min(nr, ARRAY_SIZE(pages));
	while (got < nr) {
		/* The caller may do without this one. */
		if ((got || order < 0) && !can_spare_block(gfp, nid, nodemask))
			break;
		pages[got] = get_chunk(gfp, PMD_ORDER, nid, nodemask);
		if (!pages[got])
			break;
		got++;
	}
	if (!got)
		return NULL;

	unmapped_direct_map_flush();
	for (i = 0; i < got; i++)
		add_chunk(pages[i], PMD_ORDER, i ? -1 : order);
	return pages[0];
}

/* === Refill ============================================================== */

static struct page *refill_locked(struct unmapped_node *node, gfp_t gfp,
				  int order, nodemask_t *nodemask,
				  unsigned int nr)
{
	struct page *page;

	lockdep_assert_held(&node->refill_lock);

	atomic_inc(&refills_running);
	page = add_blocks(gfp, order, node->nid, nodemask, nr);
	atomic_dec(&refills_running);
	/* No block is free: don't keep asking for several. */
	if (!page)
		unmapped_demand_reset(node);
	return page;
}

/**
 * unmapped_refill_blocks() - add blocks to the cache
 * @node: the node to allocate from first, to which the demand is attributed.
 * @gfp: flags for the page allocator, from unmapped_no_reclaim_gfp().
 * @order: order of the part that is handed out.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr: number of blocks that the caller needs, 1 in a page fault.
 *
 * Takes at most UNMAPPED_MAX_BLOCKS, and fewer if no more are free.
 *
 * Context: Process context, may sleep, with unmapped_node::refill_lock held.
 * Return: the first block, whose first 2^@order pages are handed out as by
 * unmapped_zone_take(), or NULL.
 */
struct page *unmapped_refill_blocks(struct unmapped_node *node, gfp_t gfp,
				    int order, nodemask_t *nodemask,
				    unsigned int nr)
{
	unmapped_demand_next(node);
	return refill_locked(node, gfp, order, nodemask, nr);
}

static bool below_low_water(const struct unmapped_node *node)
{
	unsigned long cached = 0;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		cached += READ_ONCE(node->zones[i].count.cached);
	return cached < unmapped_demand_low_water(node);
}

static void refill_work(struct work_struct *work)
{
	struct unmapped_node *node = container_of(work, struct unmapped_node,
						  refill_work);
	gfp_t gfp = unmapped_source_gfp(GFP_KERNEL | __GFP_THISNODE);

	guard(mutex)(&node->refill_lock);
	if (below_low_water(node))
		refill_locked(node, unmapped_no_reclaim_gfp(gfp), -1, NULL,
			      unmapped_demand_next(node));
}

/**
 * unmapped_refill_wake() - queue a background refill if little is left
 * @node: the node.
 *
 * Context: Any context except NMI.
 */
void unmapped_refill_wake(struct unmapped_node *node)
{
	if (below_low_water(node))
		queue_work(system_dfl_wq, &node->refill_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_wake);

#if IS_ENABLED(CONFIG_KUNIT)
/**
 * unmapped_refill_calm() - forget the demand
 * @node: the node.
 *
 * For tests that empty the cache: there is no background refill until there is
 * new demand.
 *
 * Context: Process context, may sleep.
 */
void unmapped_refill_calm(struct unmapped_node *node)
{
	scoped_guard(mutex, &node->refill_lock)
		unmapped_demand_reset(node);
	/* If it has not begun yet, it will find that there is nothing to do. */
	cancel_work_sync(&node->refill_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_calm);
#endif

/**
 * unmapped_refill_init() - prepare a node for refills
 * @node: the node.
 */
void __init unmapped_refill_init(struct unmapped_node *node)
{
	mutex_init(&node->refill_lock);
	unmapped_demand_init(node);
	INIT_WORK(&node->refill_work, refill_work);
}
