// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: taking memory from the page allocator.
 *
 * How many blocks a refill takes follows the demand, so that somebody who needs
 * a few pages costs the system one block, and somebody who needs a lot costs it
 * few TLB flushes: a refill that comes within a second after another takes
 * twice as many, up to UNMAPPED_BATCH_MAX. With 16 blocks, 1 GiB takes 36
 * flushes, and clearing a batch, 32 MiB, a few milliseconds.
 *
 * While demand is high, a work item refills as soon as less than half a batch
 * is left, so that few callers wait for it.
 */

#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/rwsem.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

#define UNMAPPED_BATCH_MAX	16

/* A batch may be this part of a node's memory. */
#define UNMAPPED_BATCH_SHARE	128

VISIBLE_IF_KUNIT struct page *unmapped_source_alloc(gfp_t gfp,
						    unsigned int order, int nid,
						    nodemask_t *nodemask)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_source_alloc, gfp, order, nid,
				   nodemask);

	return __alloc_frozen_pages(gfp, order, nid, nodemask, ALLOC_DEFAULT);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_source_alloc);

/**
 * unmapped_source_gfp() - what the page allocator is asked with
 * @gfp: what a consumer asked with.
 *
 * Return: flags for unmovable, cleared memory of the same zones.
 */
gfp_t unmapped_source_gfp(gfp_t gfp)
{
	gfp &= ~(__GFP_HIGHMEM | __GFP_MOVABLE | __GFP_RECLAIMABLE |
		 __GFP_COMP | __GFP_ACCOUNT | __GFP_NOFAIL | __GFP_ZEROTAGS |
		 __GFP_SKIP_ZERO | __GFP_SKIP_KASAN);
	return gfp | __GFP_ZERO;
}

/**
 * unmapped_opportunistic_gfp() - for more than what was asked for
 * @gfp: from unmapped_source_gfp().
 *
 * Return: flags for memory that lies there; no effort is made to get it, except
 * that those who make some in the background are woken.
 */
gfp_t unmapped_opportunistic_gfp(gfp_t gfp)
{
	gfp &= ~(__GFP_DIRECT_RECLAIM | __GFP_RETRY_MAYFAIL | __GFP_HIGH);
	return gfp | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

/* The chunk could not be removed from the direct map. */
static void refill_failed(struct page *page, unsigned int order, int err)
{
	unmapped_count_event(UNMAPPED_REFILL_FAIL);
	if (err == -ENOTRECOVERABLE) {
		unmapped_zone_lose(unmapped_page_zone(page), order);
		return;
	}
	unmapped_disown(page, order);
	free_frozen_pages(page, order);
}

/* Take a chunk from the page allocator and the direct map, but for the flush. */
static struct page *get_chunk(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	struct page *page;
	bool first;
	int err;

	page = unmapped_source_alloc(gfp, order, nid, nodemask);
	if (!page)
		return NULL;

	if (unmapped_own(page, order, gfp & GFP_RECLAIM_MASK, &first)) {
		unmapped_count_event(UNMAPPED_REFILL_FAIL);
		free_frozen_pages(page, order);
		return NULL;
	}

	err = unmapped_map_remove(page, order);
	if (err) {
		refill_failed(page, order, err);
		return NULL;
	}
	if (order < PMD_ORDER && first)
		unmapped_count_event(UNMAPPED_AREA_SPLIT);
	return page;
}

/* Flushed: the chunk can be shown to others. */
static void add_chunk(struct page *page, unsigned int from, int order)
{
	unmapped_check_out(page, from);
	unmapped_zone_insert(unmapped_page_zone(page), page, from, order);
	unmapped_count_event(from == PMD_ORDER ? UNMAPPED_REFILL_BLOCK :
						 UNMAPPED_REFILL_FRAGMENT);
	unmapped_release_wake(unmapped_node(page_to_nid(page)));
}

/*
 * There is no refill while an image of the system may be made. A refill is a
 * reader, and does not wait: if there is a writer, it fails.
 */
static DECLARE_RWSEM(refill_sem);
static bool refill_stopped;

/**
 * unmapped_refill_stop() - let all refills fail from now on, or no longer
 * @stop: which.
 *
 * Context: Process context, may sleep until refills that have begun are done.
 */
void unmapped_refill_stop(bool stop)
{
	guard(rwsem_write)(&refill_sem);
	refill_stopped = stop;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_stop);

static bool refill_begin(void)
{
	if (!down_read_trylock(&refill_sem))
		return false;
	if (likely(!refill_stopped))
		return true;
	up_read(&refill_sem);
	return false;
}

static void refill_end(void)
{
	up_read(&refill_sem);
}

/**
 * unmapped_refill_fragment() - add a fragment to the cache
 * @gfp: flags for the page allocator.
 * @from: order of the fragment.
 * @order: order of what is handed out of it.
 * @nid: node to allocate from.
 * @nodemask: nodes that are allowed, NULL for all.
 *
 * Context: Process context, may sleep.
 * Return: the first page of 2^@order, or NULL.
 */
struct page *unmapped_refill_fragment(gfp_t gfp, unsigned int from,
				      unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page;

	if (!refill_begin())
		return NULL;

	page = get_chunk(gfp, from, nid, nodemask);
	if (page) {
		unmapped_map_flush(&page, 1, from);
		add_chunk(page, from, order);
	}
	refill_end();
	return page;
}

/*
 * Add @nr blocks to the cache, less if they don't lie there. 2^@order pages of
 * the first one are handed out, none if that is -1.
 */
static struct page *refill_blocks(gfp_t gfp, int order, int nid,
				  nodemask_t *nodemask, unsigned int nr,
				  bool nozero)
{
	struct page *pages[UNMAPPED_BATCH_MAX];
	unsigned int i, got = 0;

	nr = min(nr, ARRAY_SIZE(pages));
	while (got < nr) {
		pages[got] = get_chunk(gfp, PMD_ORDER, nid, nodemask);
		if (!pages[got])
			break;
		got++;
	}
	if (!got)
		return NULL;

	unmapped_map_flush(pages, got, PMD_ORDER);
	if (nozero)
		unmapped_block_to_nozero(pages[0]);
	for (i = 0; i < got; i++)
		add_chunk(pages[i], PMD_ORDER, i ? -1 : order);
	return pages[0];
}

/* === Demand ============================================================== */

static unsigned int max_batch(int nid)
{
	unsigned long share = node_present_pages(nid) / UNMAPPED_BATCH_SHARE /
			      UNMAPPED_BLOCK_PAGES;

	return clamp(share, 1UL, (unsigned long)UNMAPPED_BATCH_MAX);
}

/* Does the last refill say anything about the demand now? */
static bool is_recent(const struct unmapped_node *node)
{
	return time_before(jiffies, READ_ONCE(node->refilled) + HZ);
}

/**
 * unmapped_refill_demand() - how many blocks to take now
 * @node: the node.
 *
 * To be called before each refill: it is what it learns from.
 *
 * Context: Process context, with unmapped_node::refill_lock held.
 * Return: the number of blocks, at least 1.
 */
VISIBLE_IF_KUNIT unsigned int unmapped_refill_demand(struct unmapped_node *node)
{
	unsigned int batch = 1;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_refill_demand, node);
	lockdep_assert_held(&node->refill_lock);

	if (is_recent(node))
		batch = min(2 * node->batch, max_batch(node->nid));
	WRITE_ONCE(node->batch, batch);
	WRITE_ONCE(node->refilled, jiffies);
	return batch;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_refill_demand);

/**
 * unmapped_refill_node() - add blocks to the cache, as many as are in demand
 * @node: the node to allocate from first, and whose demand it is.
 * @gfp: flags for the page allocator.
 * @order: order of what is handed out; -1 for nothing.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr_pages: number of pages that are known to be in demand, 0 if it isn't.
 * @nozero: the first block is for those who don't want their pages cleared.
 *
 * More than UNMAPPED_BATCH_MAX blocks are not taken, and less if they don't lie
 * there.
 *
 * Context: Process context, may sleep, with unmapped_node::refill_lock held.
 * Return: the first block, the first 2^@order pages of which are handed out,
 * or NULL.
 */
struct page *unmapped_refill_node(struct unmapped_node *node, gfp_t gfp,
				  int order, nodemask_t *nodemask,
				  unsigned long nr_pages, bool nozero)
{
	unsigned int nr = unmapped_refill_demand(node);
	struct page *page = NULL;

	nr = max(nr, min(DIV_ROUND_UP(nr_pages, UNMAPPED_BLOCK_PAGES),
			 UNMAPPED_BATCH_MAX));
	if (refill_begin()) {
		page = refill_blocks(gfp, order, node->nid, nodemask, nr,
				     nozero);
		refill_end();
	}
	/* No block to be had: don't ask for it again and again. */
	if (!page)
		WRITE_ONCE(node->batch, 1);
	return page;
}

/* Free pages below which the cache is refilled in the background. */
static unsigned long low_water(const struct unmapped_node *node)
{
	if (!is_recent(node))
		return 0;
	return READ_ONCE(node->batch) / 2 * UNMAPPED_BLOCK_PAGES;
}

static bool below_low_water(const struct unmapped_node *node)
{
	unsigned long cached = 0;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		cached += READ_ONCE(node->zones[i].count.cached);
	return cached < low_water(node);
}

static void refill_work(struct work_struct *work)
{
	struct unmapped_node *node = container_of(work, struct unmapped_node,
						  refill_work);
	gfp_t gfp = unmapped_source_gfp(GFP_KERNEL | __GFP_THISNODE);

	guard(mutex)(&node->refill_lock);
	if (below_low_water(node))
		unmapped_refill_node(node, unmapped_opportunistic_gfp(gfp), -1,
				     NULL, 0, false);
}

/**
 * unmapped_refill_wake() - refill in the background if little is left
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

/**
 * unmapped_refill_init() - prepare a node for refills
 * @node: the node.
 */
void __init unmapped_refill_init(struct unmapped_node *node)
{
	mutex_init(&node->refill_lock);
	node->batch = 1;
	node->refilled = jiffies - HZ;
	INIT_WORK(&node->refill_work, refill_work);
}
