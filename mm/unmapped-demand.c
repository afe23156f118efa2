// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: how much memory to have ready.
 *
 * A refill within a second of the previous one doubles the number of blocks that
 * the next one takes in the background, up to UNMAPPED_MAX_BLOCKS. One is due as
 * soon as less than half of that number is left. Demand ends after a second
 * without a refill, or when a refill finds no block.
 */

#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "unmapped-alloc.h"

/*
 * A background refill, and what it waits to fall below, are at most this
 * fraction (1/128) of a node's memory together, or else a single block.
 */
#define DEMAND_NODE_SHARE	128

static unsigned int max_batch(int nid)
{
	unsigned long share = node_present_pages(nid) / DEMAND_NODE_SHARE /
			      UNMAPPED_BLOCK_PAGES;

	/* See unmapped_demand_low_water(): up to half as many are left. */
	return clamp(share * 2 / 3, 1UL, (unsigned long)UNMAPPED_MAX_BLOCKS);
}

/* Was the last refill recent enough to indicate current demand? */
static bool is_recent(const struct unmapped_node *node)
{
	return time_before(jiffies, READ_ONCE(node->refilled) + HZ);
}

/*
 * What was given back because it was idle is needed again. If that was soon, wait
 * longer the next time: each time, the direct map is changed twice, and maybe a
 * 1 GiB entry split and made again.
 */
static void adapt_idle_period(struct unmapped_node *node)
{
	unsigned long idle = jiffies - node->released;

	lockdep_assert_held(&node->refill_lock);

	if (!node->gave_back)
		return;
	node->gave_back = false;
	if (idle < 2 * node->idle_period)
		WRITE_ONCE(node->idle_period, min(2 * node->idle_period,
						  UNMAPPED_IDLE_PERIOD_MAX));
	else if (idle > 16 * node->idle_period)
		WRITE_ONCE(node->idle_period, UNMAPPED_IDLE_PERIOD);
}

/**
 * unmapped_demand_next() - how many blocks the background refill should take
 * @node: the node.
 *
 * Called for each refill, because it adapts to their frequency.
 *
 * Context: Process context, with unmapped_node::refill_lock held.
 * Return: the number of blocks, at least 1.
 */
unsigned int unmapped_demand_next(struct unmapped_node *node)
{
	unsigned int batch = 1;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_demand_next, node);
	lockdep_assert_held(&node->refill_lock);

	if (is_recent(node))
		batch = min(2 * node->batch, max_batch(node->nid));
	else
		adapt_idle_period(node);
	WRITE_ONCE(node->batch, batch);
	WRITE_ONCE(node->refilled, jiffies);
	return batch;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_demand_next);

/**
 * unmapped_demand_reset() - the next refill takes a single block
 * @node: the node.
 *
 * Context: Process context, with unmapped_node::refill_lock held.
 */
void unmapped_demand_reset(struct unmapped_node *node)
{
	lockdep_assert_held(&node->refill_lock);

	WRITE_ONCE(node->batch, 1);
}

/**
 * unmapped_demand_low_water() - free pages below which a refill is due
 * @node: the node.
 *
 * Context: Any context.
 * Return: their number; 0 if the last refill was not recent.
 */
unsigned long unmapped_demand_low_water(const struct unmapped_node *node)
{
	if (!is_recent(node))
		return 0;
	return READ_ONCE(node->batch) / 2 * UNMAPPED_BLOCK_PAGES;
}

/**
 * unmapped_demand_reserve() - free pages that current demand will need soon
 * @node: the node.
 *
 * Context: Any context.
 * Return: their number; 0 if the last refill was not recent.
 */
unsigned long unmapped_demand_reserve(const struct unmapped_node *node)
{
	return is_recent(node) ? READ_ONCE(node->batch) * UNMAPPED_BLOCK_PAGES :
				 0;
}

/**
 * unmapped_demand_idle() - note that idle memory was looked for
 * @node: the node.
 * @nr_pages: number of pages that were found and given back.
 *
 * Context: Process context, may sleep.
 */
void unmapped_demand_idle(struct unmapped_node *node, unsigned long nr_pages)
{
	guard(mutex)(&node->refill_lock);
	if (nr_pages) {
		node->gave_back = true;
		node->released = jiffies;
	}
	if (time_after_eq(jiffies, node->refilled + UNMAPPED_IDLE_PERIOD))
		unmapped_demand_reset(node);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_demand_idle);

/**
 * unmapped_demand_init() - there is no demand yet
 * @node: the node, whose refill_lock is initialized.
 */
void __init unmapped_demand_init(struct unmapped_node *node)
{
	node->batch = 1;
	node->refilled = jiffies - HZ;
	node->idle_period = UNMAPPED_IDLE_PERIOD;
}
