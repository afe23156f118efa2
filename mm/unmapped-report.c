// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: free page reporting.
 *
 * The hypervisor hears of the free chunks in the cache, as it does of those of
 * the page allocator, and can use the memory for something else until they are
 * handed out. While chunks are being reported, they are in transit: they must
 * not be written to before the hypervisor is done. From then on, the contents are
 * undefined, so a reported chunk is cleared when it is handed out.
 *
 * A caller that needs what is in transit refills the cache. If there is no
 * memory for that, direct reclaim that has made no progress waits for the report,
 * but not for a device that does not answer; unmapped_alloc_drain() waits for it
 * in any case. A caller that can't wait finds the rest of the cache: a report takes
 * about half of it at a time, but at least one chunk, which can be most of it.
 *
 * The page allocator reports chunks of page_reporting_order or more, a pageblock
 * by default. Here, all orders are reported, as a partly used block has only
 * smaller chunks, and can't be given back to the page allocator. But those below
 * page_reporting_order wait until nothing was allocated from the zone between
 * two reports, because small chunks are handed out first.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <trace/events/unmapped_alloc.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_reporting.h"
#include "unmapped-alloc.h"

/* Returns false if the cache is being emptied. */
static bool begin_report(struct unmapped_node *node)
{
	guard(spinlock_irq)(&node->report_wait.lock);
	if (node->nr_report_pauses)
		return false;
	WRITE_ONCE(node->report_start, jiffies);
	WRITE_ONCE(node->reporting, true);
	return true;
}

static void end_report(struct unmapped_node *node)
{
	guard(spinlock_irq)(&node->report_wait.lock);
	WRITE_ONCE(node->reporting, false);
	wake_up_all_locked(&node->report_wait);
}

/**
 * unmapped_report_running() - is memory of this node being reported?
 * @node: the node.
 *
 * Context: Any context.
 * Return: whether it is, which may be out of date already.
 */
bool unmapped_report_running(struct unmapped_node *node)
{
	return READ_ONCE(node->reporting);
}

/**
 * unmapped_report_pause() - wait for a report, and let no other begin
 * @node: the node.
 *
 * To be followed by unmapped_report_resume(); can be nested.
 *
 * Context: Process context, may sleep.
 */
void unmapped_report_pause(struct unmapped_node *node)
{
	scoped_guard(spinlock_irq, &node->report_wait.lock)
		node->nr_report_pauses++;
	wait_event(node->report_wait, !READ_ONCE(node->reporting));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_report_pause);

/**
 * unmapped_report_pause_for() - let no report begin, and wait a while
 * @node: the node.
 * @limit: wait for a running report until it is that old, in jiffies.
 *
 * As unmapped_report_pause(), for those who can do without the memory. If a device
 * never answers, later callers do not wait.
 *
 * Context: Process context, may sleep; not if the task is being killed.
 */
void unmapped_report_pause_for(struct unmapped_node *node, long limit)
{
	long left;

	scoped_guard(spinlock_irq, &node->report_wait.lock) {
		node->nr_report_pauses++;
		left = READ_ONCE(node->report_start) + limit - jiffies;
	}
	if (left > 0)
		wait_event_killable_timeout(node->report_wait,
					    !READ_ONCE(node->reporting), left);
}

/**
 * unmapped_report_resume() - allow reports again
 * @node: the node.
 *
 * Context: Process context.
 */
void unmapped_report_resume(struct unmapped_node *node)
{
	guard(spinlock_irq)(&node->report_wait.lock);
	node->nr_report_pauses--;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_report_resume);

/* How many free pages are not reported. */
static unsigned long nr_unreported(const struct unmapped_zone *uz)
{
	unsigned long cached = READ_ONCE(uz->count.cached);

	return cached - min(cached, unmapped_zone_nr_reported(uz));
}

/**
 * unmapped_report_wake() - request a report if there is something to report
 * @node: the node.
 *
 * Called now and then: a free does not request reports of less than a block.
 *
 * Context: Any context except NMI.
 */
void unmapped_report_wake(struct unmapped_node *node)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++) {
		if (nr_unreported(&node->zones[i])) {
			unmapped_report_notify(node);
			return;
		}
	}
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_report_wake);

/*
 * Fill the end of the scatterlist with chunks; returns its first used entry. With
 * init_on_free, the hypervisor was told that free pages are zero.
 */
static unsigned int collect(struct unmapped_zone *uz, unsigned int min,
			    struct scatterlist *sgl, unsigned int capacity)
{
	unsigned long nr = 0, max = READ_ONCE(uz->count.cached) / 2;
	unsigned int order, offset = capacity;
	struct page *page;
	bool zeroed;

	do {
		page = unmapped_zone_detach_unreported(uz, min, &order, &zeroed);
		if (!page)
			break;
		if (!zeroed && want_init_on_free())
			unmapped_clear_chunk(page, order);
		sg_set_page(&sgl[--offset], page, PAGE_SIZE << order, 0);
		nr += 1UL << order;
	} while (offset && nr < max);
	return offset;
}

/* Returns the number of pages. */
static unsigned long put_back(struct unmapped_zone *uz, struct scatterlist *sgl,
			      unsigned int nents, bool reported)
{
	unsigned long nr = 0;
	struct scatterlist *sg;
	unsigned int i, order;

	for_each_sg(sgl, sg, nents, i) {
		order = get_order(sg->length);
		if (reported)
			trace_unmapped_report(sg_page(sg), order);
		unmapped_zone_put_reported(uz, sg_page(sg), order, reported);
		nr += 1UL << order;
	}
	sg_init_table(sgl, nents);
	return nr;
}

/*
 * Report as many chunks as the device takes at a time. Returns the number of
 * pages, 0 if there are no chunks, or an error.
 */
static long report_some(struct page_reporting_dev_info *prdev,
			struct scatterlist *sgl, struct unmapped_zone *uz,
			unsigned int min)
{
	struct unmapped_node *node = unmapped_node(uz->nid);
	unsigned int offset, noreclaim;
	long nr = 0;
	int err;

	if (!begin_report(node))
		return -EAGAIN;

	/* Reclaim waits for the report, so the report must not wait for it. */
	noreclaim = memalloc_noreclaim_save();
	offset = collect(uz, min, sgl, prdev->capacity);
	sgl += offset;
	if (offset < prdev->capacity) {
		err = prdev->report(prdev, sgl, prdev->capacity - offset);
		nr = put_back(uz, sgl, prdev->capacity - offset, !err);
		if (err)
			nr = err;
	}
	memalloc_noreclaim_restore(noreclaim);
	end_report(node);
	return nr;
}

/* Was nothing allocated since the last report? */
static bool is_quiet(struct unmapped_zone *uz)
{
	bool quiet;

	guard(spinlock_irq)(&uz->lock);
	quiet = uz->nr_taken == uz->nr_taken_reported;
	uz->nr_taken_reported = uz->nr_taken;
	return quiet;
}

/* When memory is short, the cache is about to be emptied. */
static bool is_worth_report(struct unmapped_zone *uz)
{
	int i = uz - unmapped_node(uz->nid)->zones;
	struct zone *zone = &NODE_DATA(uz->nid)->node_zones[i];

	return nr_unreported(uz) &&
	       zone_watermark_ok(zone, 0, low_wmark_pages(zone), 0, 0);
}

/*
 * Returns true if another report should follow, or an error. What can't be
 * reported until @end is left to that one: suspend waits for this work.
 */
static int report_zone(struct page_reporting_dev_info *prdev,
		       struct scatterlist *sgl, struct unmapped_zone *uz,
		       unsigned long end)
{
	/* What is freed meanwhile is left to the next time. */
	long left = nr_unreported(uz), nr;
	bool quiet = is_quiet(uz);
	unsigned int min = quiet ? 0 : min_t(unsigned int, page_reporting_order,
					     PMD_ORDER);

	while (left > 0 && is_worth_report(uz)) {
		if (time_after(jiffies, end))
			return true;
		nr = report_some(prdev, sgl, uz, min);
		if (nr < 0 && nr != -EAGAIN)
			return nr;
		if (nr == -EAGAIN)
			return true;
		if (!nr)
			break;
		left -= nr;
		cond_resched();
	}
	return !quiet && nr_unreported(uz);
}

/**
 * unmapped_alloc_report() - report the free chunks in the cache
 * @prdev: the device.
 * @sgl: a scatterlist for as many chunks as the device takes at a time.
 *
 * Called by free page reporting. Nothing is reported to a device that may access
 * the pages, as they are not in the direct map. Nor is anything if free pages
 * have a poison pattern, which the hypervisor was told: those of the cache don't
 * have it.
 *
 * Context: Process context, may sleep.
 * Return: 0, 1 if another report should follow, or -errno of the device.
 */
int unmapped_alloc_report(struct page_reporting_dev_info *prdev,
			  struct scatterlist *sgl)
{
	unsigned long end = jiffies + HZ;
	struct unmapped_zone *uz;
	bool again = false;
	int nid, i, ret;

	if (!unmapped_alloc_is_used() || !prdev->no_access ||
	    page_poisoning_enabled_static())
		return 0;

	for_each_online_node(nid) {
		for (i = 0; i < UNMAPPED_NR_ZONES; i++) {
			uz = &unmapped_node(nid)->zones[i];
			if (!is_worth_report(uz))
				continue;
			ret = report_zone(prdev, sgl, uz, end);
			if (ret < 0)
				return ret;
			again |= ret;
		}
	}
	return again;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_report);

/**
 * unmapped_report_init_node() - prepare a node for reports
 * @node: the node.
 */
void __init unmapped_report_init_node(struct unmapped_node *node)
{
	init_waitqueue_head(&node->report_wait);
}
