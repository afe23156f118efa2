// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: giving memory back to the page allocator.
 *
 * - Before memory in use is reclaimed, whole blocks are given back, starting
 *   with those that have been free for longest, then fragments. If that is not
 *   enough, mostly free blocks are broken, and their free part is given back.
 * - Blocks that were not needed for a whole period are given back even without
 *   memory pressure.
 */

#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include <trace/events/unmapped_alloc.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

/* Chunks that are given back at a time. */
#define RELEASE_BATCH	16

/**
 * struct release - chunks to be returned to the page allocator
 * @page: first pages.
 * @order: their orders.
 * @nr: number of chunks.
 * @nr_pages: number of pages.
 */
struct release {
	struct page *page[RELEASE_BATCH];
	unsigned char order[RELEASE_BATCH];
	unsigned int nr;
	unsigned long nr_pages;
};

/* Take the next free chunk and map it. NULL if there is none, or on error. */
static struct page *detach_chunk(struct unmapped_zone *uz, unsigned int kinds,
				 unsigned int *order, bool *failed)
{
	struct page *page;
	bool zeroed;
	int err;

	page = unmapped_zone_detach(uz, kinds, order, &zeroed);
	if (!page)
		return NULL;

	err = unmapped_direct_map_restore(page, *order);
	if (!err)
		return page;

	count_vm_event(UNMAPPED_RELEASE_FAIL);
	if (err == -ENOTRECOVERABLE) {
		unmapped_tag_lose(page, *order);
		page = NULL;
	}
	unmapped_zone_reattach(uz, page, *order, zeroed);
	*failed = true;
	return NULL;
}

/* Take chunks off the lists and map them. Returns false if that failed. */
static bool collect(struct unmapped_zone *uz, unsigned long nr_pages,
		    unsigned int kinds, struct release *r)
{
	unsigned int order;
	bool failed = false;
	struct page *page;

	r->nr = 0;
	r->nr_pages = 0;
	while (r->nr < RELEASE_BATCH && r->nr_pages < nr_pages) {
		page = detach_chunk(uz, kinds, &order, &failed);
		if (!page)
			break;
		r->page[r->nr] = page;
		r->order[r->nr++] = order;
		r->nr_pages += 1UL << order;
	}
	return !failed;
}

static void give_back(struct unmapped_zone *uz, struct page *page,
		      unsigned int order)
{
	trace_unmapped_release(page, order);
	/* From here on, unmapped_alloc_catch() must not catch the chunk. */
	unmapped_disown(page, order);
	unmapped_zone_release(uz, order);
	unmapped_check_in(page, order);
	free_frozen_pages(page, order);
	count_vm_event(order == PMD_ORDER ? UNMAPPED_RELEASE_BLOCK :
					    UNMAPPED_RELEASE_FRAGMENT);
}

/**
 * unmapped_release_zone() - give back free chunks of a zone
 * @uz: the zone.
 * @nr_pages: minimum number of pages to give back, if there are as many.
 * @kinds: UNMAPPED_BLOCKS, UNMAPPED_FRAGMENTS, or both.
 *
 * Context: Process context, may sleep.
 * Return: number of pages given back.
 */
unsigned long unmapped_release_zone(struct unmapped_zone *uz,
				    unsigned long nr_pages, unsigned int kinds)
{
	unsigned long freed = 0;
	struct release r;
	unsigned int i;
	bool good;

	do {
		good = collect(uz, nr_pages - freed, kinds, &r);
		unmapped_direct_map_collapse(r.page, r.nr);
		for (i = 0; i < r.nr; i++)
			give_back(uz, r.page[i], r.order[i]);
		mm_account_reclaimed_pages(r.nr_pages);
		freed += r.nr_pages;
		cond_resched();
	} while (good && r.nr && freed < nr_pages);

	return freed;
}

#define ANY_KIND	(UNMAPPED_BLOCKS | UNMAPPED_FRAGMENTS)

/* Give back memory of the zones up to @highest. */
static unsigned long release_node(int nid, int highest, unsigned long nr_pages)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed = 0;
	int i;

	for (i = highest; i >= 0 && freed < nr_pages; i--)
		freed += unmapped_release_zone(&node->zones[i],
					       nr_pages - freed, ANY_KIND);
	return freed;
}

static void drain_pcps(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_pcp_drain(&unmapped_node(nid)->zones[i]);
}

/**
 * unmapped_alloc_drain() - give back all free memory of a node
 * @nid: the node.
 *
 * The free part of partly used blocks stays. Waits for a report to the
 * hypervisor, and for others that do the same.
 *
 * Context: Process context, may sleep.
 * Return: number of pages given back.
 */
unsigned long unmapped_alloc_drain(int nid)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed;
	unsigned int flags;

	unmapped_report_pause(node);
	/* Others may wait for the lock where they must not wait for I/O. */
	flags = memalloc_noio_save();
	scoped_guard(mutex, &node->drain_lock) {
		drain_pcps(nid);
		freed = release_node(nid, UNMAPPED_NR_ZONES - 1, ULONG_MAX);
	}
	memalloc_noio_restore(flags);
	unmapped_report_resume(node);
	return freed;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_drain);

/* === Reclaim ============================================================= */

static unsigned long nr_free_of(const struct unmapped_zone *uz,
				enum unmapped_kind kind)
{
	unsigned long nr = 0;
	int order;

	for (order = 0; order < PMD_ORDER; order++)
		nr += READ_ONCE(uz->nr_free[kind][order]) << order;
	return nr;
}

/* How many pages can be given back without breaking a block. */
static unsigned long nr_releasable(const struct unmapped_zone *uz)
{
	unsigned long nr;

	if (!READ_ONCE(uz->count.owned))
		return 0;

	nr = READ_ONCE(uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER]) << PMD_ORDER;
	nr += nr_free_of(uz, UNMAPPED_FRAGMENT);
	/* Each of these may be the only page that a block lacks to be free. */
	return nr + unmapped_pcp_count(uz);
}

/**
 * unmapped_alloc_reclaimable() - free pages that reclaim gives back in the end
 * @zone: their zone.
 *
 * Includes the free part of partly used blocks: a single pass of reclaim frees only
 * some, so callers must know that there are more. Call only if
 * unmapped_alloc_is_used().
 *
 * Context: Any context.
 * Return: their number.
 */
unsigned long unmapped_alloc_reclaimable(const struct zone *zone)
{
	const struct unmapped_zone *uz;

	if (zone_idx(zone) >= UNMAPPED_NR_ZONES)
		return 0;

	uz = &unmapped_node(zone_to_nid(zone))->zones[zone_idx(zone)];
	return nr_releasable(uz) + nr_free_of(uz, UNMAPPED_BLOCK);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_reclaimable);

static unsigned long nr_releasable_node(int nid, int highest)
{
	unsigned long nr = 0;
	int i;

	for (i = 0; i <= highest; i++)
		nr += nr_releasable(&unmapped_node(nid)->zones[i]);
	return nr;
}

/*
 * kswapd leaves what current demand will need soon, so that a system that is
 * always short of memory does not give back and refill all the time.
 */
static unsigned long nr_spare(int nid, int highest)
{
	unsigned long nr = nr_releasable_node(nid, highest), reserve = 0;

	if (current_is_kswapd())
		reserve = unmapped_demand_reserve(unmapped_node(nid));
	return nr - min(nr, reserve);
}

/* Pages of files on the LRU lists, nearly all of which cost no I/O to reclaim. */
VISIBLE_IF_KUNIT unsigned long unmapped_nr_page_cache(int nid)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_nr_page_cache, nid);

	return node_page_state(NODE_DATA(nid), NR_ACTIVE_FILE) +
	       node_page_state(NODE_DATA(nid), NR_INACTIVE_FILE);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_nr_page_cache);

/*
 * A busy system is always short of memory because of its page cache, which is not
 * worth a large entry. If the page cache is smaller than what partly used blocks
 * can give back, or reclaim has had no success, the next step would be to swap.
 */
static bool is_worth_splits(int nid, int highest, int priority)
{
	struct unmapped_zone *uz = unmapped_node(nid)->zones;
	unsigned long nr = 0;
	int i;

	for (i = 0; i <= highest; i++)
		nr += nr_free_of(&uz[i], UNMAPPED_BLOCK);
	return nr > unmapped_nr_page_cache(nid) >> (DEF_PRIORITY - priority);
}

/* Give back the free part of blocks that have at least @min free pages. */
static unsigned long break_blocks(struct unmapped_zone *uz, unsigned int min,
				  unsigned long nr_pages)
{
	unsigned long freed = 0, nr;

	while (freed < nr_pages && unmapped_zone_break_block(uz, min)) {
		nr = unmapped_release_zone(uz, ULONG_MAX, UNMAPPED_FRAGMENTS);
		/* Another CPU was faster, or there are no page tables. */
		if (!nr)
			break;
		freed += nr;
	}
	return freed;
}

static unsigned long release_and_drain(int nid, int highest,
				       unsigned long nr_pages)
{
	unsigned long freed = release_node(nid, highest, nr_pages);

	if (freed < nr_pages) {
		drain_pcps(nid);
		freed += release_node(nid, highest, nr_pages - freed);
	}
	return freed;
}

/* The priority of reclaim at which it may wait for a report. */
#define UNMAPPED_WAIT_PRIORITY	(DEF_PRIORITY / 2)

/*
 * Reclaim has had no success so far, and the system may be about to kill a
 * process: wait for memory that is being reported, but not for a device that does
 * not answer. The report needs no memory itself.
 */
static unsigned long release_reported(int nid, int highest,
				      unsigned long nr_pages, int priority)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed;

	if (!nr_pages || priority > UNMAPPED_WAIT_PRIORITY ||
	    current_is_kswapd() || !unmapped_report_running(node))
		return 0;

	unmapped_report_pause_for(node, HZ);
	freed = release_and_drain(nid, highest, nr_pages);
	unmapped_report_resume(node);
	return freed;
}

/**
 * unmapped_alloc_reclaim() - give back free memory when memory is short
 * @nid: the node that reclaim looks at.
 * @highest_zone: the highest zone that is of use.
 * @nr_pages: number of pages wanted.
 * @split: may the direct map be split for that?
 * @priority: DEF_PRIORITY at first, lower the longer reclaim has had no success;
 *	the lower, the smaller the part of a block can be that is worth a split:
 *	a quarter of it at first.
 *
 * Called before memory that is in use is reclaimed. Adds to
 * current->reclaim_state. Page tables come from the reserves.
 *
 * Context: Reclaim.
 */
void unmapped_alloc_reclaim(int nid, enum zone_type highest_zone,
			    unsigned long nr_pages, bool split, int priority)
{
	unsigned int min = max(UNMAPPED_BLOCK_PAGES >> (DEF_PRIORITY + 2 - priority),
			       1UL);
	int i, highest = min_t(int, highest_zone, UNMAPPED_NR_ZONES - 1);
	struct unmapped_zone *uz = unmapped_node(nid)->zones;
	unsigned long freed;

	freed = release_and_drain(nid, highest,
				  min(nr_pages, nr_spare(nid, highest)));
	freed += release_reported(nid, highest, nr_pages - min(nr_pages, freed),
				  priority);
	if (!split || !is_worth_splits(nid, highest, priority))
		return;
	for (i = highest; i >= 0; i--)
		if (freed < nr_pages)
			freed += break_blocks(&uz[i], min, nr_pages - freed);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_reclaim);

/* === Shrinker ============================================================ */

/* Reclaim has its own way. This is for drop_caches and the like. */
static unsigned long count_releasable(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	unsigned long nr = nr_spare(sc->nid, UNMAPPED_NR_ZONES - 1);

	return nr ? nr : SHRINK_EMPTY;
}

static unsigned long scan_releasable(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	unsigned long freed = release_and_drain(sc->nid, UNMAPPED_NR_ZONES - 1,
						sc->nr_to_scan);

	sc->nr_scanned = freed;
	return freed ? freed : SHRINK_STOP;
}

/* === Idle ================================================================ */

/* Give back what was not needed in the last period. Returns how many pages. */
static unsigned long release_idle(struct unmapped_zone *uz)
{
	/* A CPU that reuses a page of its own list takes none from the zone. */
	bool used = unmapped_pcp_drain_unused(uz);
	unsigned long nr_idle;

	scoped_guard(spinlock_irqsave, &uz->lock) {
		used |= uz->nr_taken != uz->nr_taken_before;
		uz->nr_taken_before = uz->nr_taken;
		nr_idle = uz->nr_idle;
		uz->nr_idle = uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER];
	}

	if (!used)
		return unmapped_release_zone(uz, ULONG_MAX, ANY_KIND);
	if (!nr_idle)
		return 0;
	return unmapped_release_zone(uz, nr_idle << PMD_ORDER, UNMAPPED_BLOCKS);
}

static bool owns_memory(struct unmapped_node *node)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (READ_ONCE(node->zones[i].count.owned))
			return true;
	return false;
}

static void idle_work(struct work_struct *work)
{
	struct unmapped_node *node = container_of(to_delayed_work(work),
						  struct unmapped_node,
						  idle_work);
	unsigned long freed = 0;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++) {
		unmapped_pcp_update(&node->zones[i],
				    &NODE_DATA(node->nid)->node_zones[i]);
		freed += release_idle(&node->zones[i]);
	}
	unmapped_demand_idle(node, freed);
	unmapped_report_wake(node);

	if (owns_memory(node))
		unmapped_idle_wake(node);
}

/**
 * unmapped_release_init_node() - prepare a node for giving memory back
 * @node: the node.
 */
void __init unmapped_release_init_node(struct unmapped_node *node)
{
	unmapped_report_init_node(node);
	mutex_init(&node->drain_lock);
	/* An idle CPU need not wake up for this. */
	INIT_DEFERRABLE_WORK(&node->idle_work, idle_work);
}

/**
 * unmapped_release_init() - register the shrinker
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_release_init(void)
{
	struct shrinker *shrinker;

	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "mm-unmapped_alloc");
	if (!shrinker)
		return -ENOMEM;

	shrinker->count_objects = count_releasable;
	shrinker->scan_objects = scan_releasable;
	shrinker->batch = UNMAPPED_BLOCK_PAGES;
	shrinker_register(shrinker);
	return 0;
}
