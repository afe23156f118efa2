// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: per-CPU lists of free order-0 pages.
 *
 * They keep the zone's lock out of the hot path. New pages come from the zone
 * uncleared, and are cleared a few at a time when the first of them is needed;
 * freed pages are cleared before they are put on a list.
 *
 * The zone counts these pages as used. For the hot path itself, see
 * unmapped_pcp_take() in unmapped-alloc.h.
 */

#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>

#include <kunit/visibility.h>

#include "page_alloc.h"
#include "unmapped-alloc.h"

/* Add @list, which ends with @last, to the front of a per-CPU list. */
static void add_locked(struct unmapped_pcp *pcp, struct llist_node *list,
		       struct llist_node *last, unsigned int nr)
{
	lockdep_assert_held(&pcp->lock);

	last->next = pcp->head;
	pcp->head = list;
	WRITE_ONCE(pcp->count, pcp->count + nr);
}

/* Cut the list after the first @keep pages, and return the rest. */
static struct llist_node *cut_locked(struct unmapped_pcp *pcp,
				     unsigned int keep)
{
	struct llist_node **link = &pcp->head, *cut;
	unsigned int i;

	lockdep_assert_held(&pcp->lock);

	for (i = 0; i < keep && *link; i++)
		link = &(*link)->next;
	cut = *link;
	*link = NULL;
	WRITE_ONCE(pcp->count, i);
	return cut;
}

/* Clear the first page of the list, and a few that follow. */
static void clear_ahead_locked(struct unmapped_pcp *pcp)
{
	struct page *pages[UNMAPPED_CLEAR_AHEAD], *page;
	unsigned int i, nr = 0;

	lockdep_assert_held(&pcp->lock);

	llist_for_each_entry(page, pcp->head, pcp_llist) {
		if (nr == ARRAY_SIZE(pages) || unmapped_page_zeroed(page) ||
		    PageHWPoison(page))
			break;
		pages[nr++] = page;
	}
	if (nr)
		unmapped_clear_pages(pages, nr);
	for (i = 0; i < nr; i++)
		set_page_private(pages[i], UNMAPPED_ZEROED);
}

/* Take the first page off the list; it is cleared unless it is poisoned. */
static struct page *take(struct unmapped_zone *uz)
{
	struct page *page = NULL;
	struct unmapped_pcp *pcp;
	unsigned long flags;

	pcp = unmapped_pcp_lock(uz, &flags);
	if (pcp->head) {
		clear_ahead_locked(pcp);
		page = llist_entry(pcp->head, struct page, pcp_llist);
		pcp->head = pcp->head->next;
		WRITE_ONCE(pcp->count, pcp->count - 1);
	}
	unmapped_pcp_unlock(pcp, flags);
	return page;
}

/* Clear the page unless it is already zero or poisoned. */
static void clear_page_of_zone(struct page *page)
{
	if (unmapped_page_zeroed(page) || PageHWPoison(page))
		return;
	unmapped_clear_pages(&page, 1);
	set_page_private(page, UNMAPPED_ZEROED);
}

/*
 * Fill this CPU's list. While pageblocks are isolated, see put(), set *@page to a
 * page of the zone instead. Returns false if the zone has no free pages.
 */
static bool fill(struct unmapped_zone *uz, struct page **page)
{
	struct llist_node *list = NULL, *last = NULL;
	struct unmapped_pcp *pcp;
	struct page *first;
	unsigned long flags;
	unsigned int nr;

	nr = unmapped_zone_take_bulk(uz, READ_ONCE(uz->pcp_batch), &list, &last);
	if (!nr)
		return false;

	first = llist_entry(list, struct page, pcp_llist);
	pcp = unmapped_pcp_lock(uz, &flags);
	if (likely(!has_isolated_pageblocks(page_zone(first)))) {
		add_locked(pcp, list, last, nr);
		unmapped_pcp_unlock(pcp, flags);
		return true;
	}
	unmapped_pcp_unlock(pcp, flags);

	*page = first;
	last->next = NULL;
	unmapped_zone_put_bulk(uz, list->next);
	clear_page_of_zone(*page);
	return true;
}

/**
 * unmapped_pcp_take_slow() - take a page, from the zone if necessary
 * @uz: the zone.
 *
 * Clears up to UNMAPPED_CLEAR_AHEAD pages.
 *
 * Context: Any context except NMI.
 * Return: a zeroed page, counted as used, or NULL.
 */
struct page *unmapped_pcp_take_slow(struct unmapped_zone *uz)
{
	struct page *page;

	while (1) {
		page = take(uz);
		if (!page && !fill(uz, &page))
			return NULL;
		if (!page)
			continue;
		if (likely(!PageHWPoison(page)))
			return page;
		/* unmapped_zone_put() accounts it as lost. */
		unmapped_zone_put(uz, page, 0);
	}
}

/* This CPU's list is too long: return the older part to the zone. */
static noinline void shorten(struct unmapped_zone *uz)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = unmapped_pcp_lock(uz, &flags);
	struct llist_node *surplus = cut_locked(pcp,
						 READ_ONCE(uz->pcp_batch));

	unmapped_pcp_unlock(pcp, flags);
	unmapped_zone_put_bulk(uz, surplus);
}

/*
 * Lists are drained after a pageblock is isolated. Its pages must not get on one
 * after that, which the list's lock is for: whoever holds it before the drain is
 * drained, and whoever holds it later knows that pageblocks are isolated.
 */
static __always_inline
void put(struct unmapped_zone *uz, const struct zone *zone,
	 struct llist_node *list, struct llist_node *last, unsigned int nr)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = unmapped_pcp_lock(uz, &flags);
	unsigned int count;

	if (unlikely(has_isolated_pageblocks(zone))) {
		unmapped_pcp_unlock(pcp, flags);
		last->next = NULL;
		unmapped_zone_put_bulk(uz, list);
		return;
	}

	add_locked(pcp, list, last, nr);
	WRITE_ONCE(pcp->used, true);
	count = pcp->count;
	unmapped_pcp_unlock(pcp, flags);

	if (unlikely(count >= 2 * READ_ONCE(uz->pcp_batch)))
		shorten(uz);
}

/**
 * unmapped_pcp_put() - put a page on this CPU's list
 * @uz: its zone.
 * @page: the page, which is zero.
 *
 * Context: Any context except NMI.
 */
void unmapped_pcp_put(struct unmapped_zone *uz, struct page *page)
{
	set_page_private(page, UNMAPPED_ZEROED);
	put(uz, page_zone(page), &page->pcp_llist, &page->pcp_llist, 1);
}

/**
 * unmapped_pcp_put_run() - put pages of one zone on this CPU's list
 * @list: pages after unmapped_clear_list(), linked by page->pcp_llist.
 *
 * Takes the pages at the front of the list that belong to the same zone.
 *
 * Context: Any context except NMI.
 * Return: the rest of the list.
 */
struct llist_node *unmapped_pcp_put_run(struct llist_node *list)
{
	struct page *first = llist_entry(list, struct page, pcp_llist), *page;
	const int zone_id = page_zone_id(first);
	struct llist_node *node = list, *last;
	unsigned int nr = 0;

	do {
		last = node;
		node = node->next;
		nr++;
		page = llist_entry(node, struct page, pcp_llist);
	} while (node && page_zone_id(page) == zone_id);

	put(unmapped_page_zone(first), page_zone(first), list, last, nr);
	return node;
}

/**
 * unmapped_pcp_drain_cpu() - empty a CPU's list
 * @uz: the zone that the pages are returned to.
 * @cpu: the CPU.
 *
 * Context: Any context except NMI.
 */
void unmapped_pcp_drain_cpu(struct unmapped_zone *uz, unsigned int cpu)
{
	struct unmapped_pcp *pcp = per_cpu_ptr(uz->pcp, cpu);
	struct llist_node *list;

	/* Even if it is empty: the lock holder may be about to add a page, see put(). */
	scoped_guard(raw_spinlock_irqsave, &pcp->lock)
		list = cut_locked(pcp, 0);
	unmapped_zone_put_bulk(uz, list);
}

/**
 * unmapped_pcp_drain() - empty all per-CPU lists
 * @uz: the zone that the pages are returned to.
 *
 * Context: Any context except NMI.
 */
void unmapped_pcp_drain(struct unmapped_zone *uz)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		unmapped_pcp_drain_cpu(uz, cpu);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pcp_drain);

/**
 * unmapped_pcp_drain_unused() - empty the lists of CPUs that don't need them
 * @uz: the zone that the pages are returned to.
 *
 * Context: Any context except NMI.
 * Return: false if no page was put on any list since the last call.
 */
bool unmapped_pcp_drain_unused(struct unmapped_zone *uz)
{
	struct unmapped_pcp *pcp;
	bool any_used = false;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		pcp = per_cpu_ptr(uz->pcp, cpu);
		if (READ_ONCE(pcp->used)) {
			WRITE_ONCE(pcp->used, false);
			any_used = true;
		} else if (READ_ONCE(pcp->count)) {
			unmapped_pcp_drain_cpu(uz, cpu);
		}
	}
	return any_used;
}

/**
 * unmapped_pcp_update() - adapt the lists to the zone's size
 * @uz: the zone.
 * @zone: the same in the page allocator.
 *
 * Context: Any context.
 */
void unmapped_pcp_update(struct unmapped_zone *uz, const struct zone *zone)
{
	unsigned long share = zone_managed_pages(zone) / UNMAPPED_PCP_SHARE /
			      num_online_cpus() / 2;

	WRITE_ONCE(uz->pcp_batch, clamp(share, 1UL, UNMAPPED_PCP_BATCH));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pcp_update);

/**
 * unmapped_pcp_count() - number of pages on the per-CPU lists
 * @uz: the zone.
 *
 * Context: Any context.
 * Return: the number, which may be out of date already.
 */
unsigned long unmapped_pcp_count(const struct unmapped_zone *uz)
{
	unsigned long nr = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(per_cpu_ptr(uz->pcp, cpu)->count);
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pcp_count);

/**
 * unmapped_pcp_init() - allocate a zone's per-CPU lists
 * @uz: the zone.
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_pcp_init(struct unmapped_zone *uz)
{
	int cpu;

	uz->pcp_batch = 1;
	uz->pcp = alloc_percpu(struct unmapped_pcp);
	if (!uz->pcp)
		return -ENOMEM;

	for_each_possible_cpu(cpu)
		raw_spin_lock_init(&per_cpu_ptr(uz->pcp, cpu)->lock);
	return 0;
}

/**
 * unmapped_pcp_exit() - undo unmapped_pcp_init()
 * @uz: the zone, whose lists are empty.
 */
void __init unmapped_pcp_exit(struct unmapped_zone *uz)
{
	free_percpu(uz->pcp);
}
