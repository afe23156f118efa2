// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: the free lists of a zone.
 *
 * This is a separate buddy system: its pages are not in the direct map, so they
 * can't be on the page allocator's lists. Blocks and fragments have separate
 * lists, see unmapped-owner.c.
 *
 * Chunks enter with the contents that they had in the page allocator. The lists
 * only record whether all of a chunk is zero, or whether the hypervisor knows
 * that all of it is free. That is lost when it merges with a buddy that is in
 * another state. The caller that takes a chunk that is not zero clears it.
 *
 * No function handles more than UNMAPPED_BATCH chunks while it holds the lock,
 * except that those of a single block are counted before it is broken, and that
 * isolated chunks are skipped.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/vmstat.h>

#define CREATE_TRACE_POINTS
#include <trace/events/unmapped_alloc.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

static unsigned int chunk_order(const struct page *page)
{
	return page_private(page) & UNMAPPED_ORDER_MASK;
}

static enum unmapped_kind chunk_list(const struct page *page)
{
	return page_private(page) & UNMAPPED_ON_FRAGMENTS ? UNMAPPED_FRAGMENT :
							    UNMAPPED_BLOCK;
}

/* Move pages from one count to another. */
static void move_count_locked(struct unmapped_zone *uz, unsigned long *from,
			      unsigned long *to, unsigned int order)
{
	lockdep_assert_held(&uz->lock);

	*from -= 1UL << order;
	*to += 1UL << order;
}

/* Memory enters or leaves the allocator. */
static void add_owned_locked(struct unmapped_zone *uz, long nr_pages)
{
	lockdep_assert_held(&uz->lock);

	uz->count.owned += nr_pages;
	mod_node_page_state(NODE_DATA(uz->nid), NR_NO_DIRECT_MAP, nr_pages);
}

static void add_reported_locked(struct unmapped_zone *uz,
				enum unmapped_kind kind, unsigned int order,
				long nr)
{
	lockdep_assert_held(&uz->lock);

	WRITE_ONCE(uz->nr_reported[kind][order],
		   uz->nr_reported[kind][order] + nr);
}

static void add_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, enum unmapped_kind kind,
			    unsigned long state)
{
	lockdep_assert_held(&uz->lock);

	set_page_private(page, order | state |
			 (kind == UNMAPPED_FRAGMENT ? UNMAPPED_ON_FRAGMENTS : 0));
	__SetPageUnmappedFree(page);
	if (unlikely(state & UNMAPPED_REPORTED)) {
		/* The hypervisor has to provide memory again: use it last. */
		list_add_tail(&page->buddy_list, &uz->free[kind][order]);
		add_reported_locked(uz, kind, order, 1);
	} else {
		list_add(&page->buddy_list, &uz->free[kind][order]);
	}
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] + 1);
}

/* Returns the state of the chunk: UNMAPPED_ZEROED, UNMAPPED_REPORTED or 0. */
static unsigned long del_free_locked(struct unmapped_zone *uz,
				     struct page *page)
{
	unsigned int order = chunk_order(page);
	enum unmapped_kind kind = chunk_list(page);
	unsigned long state = page_private(page) & UNMAPPED_STATE;

	lockdep_assert_held(&uz->lock);

	list_del(&page->buddy_list);
	__ClearPageUnmappedFree(page);
	set_page_private(page, 0);
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] - 1);
	if (unlikely(state & UNMAPPED_REPORTED))
		add_reported_locked(uz, kind, order, -1);
	return state;
}

/* Keep the first 2^@low of 2^@high pages; put the rest on the free lists. */
static void split_chunk_locked(struct unmapped_zone *uz, struct page *page,
			       unsigned int high, unsigned int low,
			       enum unmapped_kind kind, unsigned long state)
{
	lockdep_assert_held(&uz->lock);

	while (high > low) {
		high--;
		add_free_locked(uz, page + (1UL << high), high, kind, state);
	}
}

static struct page *free_buddy(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page);
	struct page *buddy = page + (__find_buddy_pfn(pfn, order) - pfn);

	if (!PageUnmappedFree(buddy) || chunk_order(buddy) != order)
		return NULL;
	/* A node boundary can lie within an area. */
	return page_zone_id(buddy) == page_zone_id(page) ? buddy : NULL;
}

/*
 * Put a chunk on the lists, merged with its free neighbours up to a block.
 * Returns whether the result can be given back: a partly used block can't.
 */
static bool merge_free_locked(struct unmapped_zone *uz, struct page *page,
			      unsigned int order, unsigned long state)
{
	enum unmapped_kind kind = unmapped_kind(page);
	struct page *buddy;

	lockdep_assert_held(&uz->lock);

	set_page_private(page, 0);
	while (order < PMD_ORDER && (buddy = free_buddy(page, order))) {
		state &= del_free_locked(uz, buddy);
		page = min(page, buddy);
		order++;
	}

	if (order == PMD_ORDER && kind == UNMAPPED_FRAGMENT) {
		unmapped_fragments_to_block(page);
		count_vm_event(UNMAPPED_HEAL);
		trace_unmapped_heal(page, PMD_ORDER);
		kind = UNMAPPED_BLOCK;
	}
	add_free_locked(uz, page, order, kind, state);
	if (order == PMD_ORDER && !(state & UNMAPPED_REPORTED))
		unmapped_report_notify(unmapped_node(uz->nid));
	return order == PMD_ORDER || kind == UNMAPPED_FRAGMENT;
}

/* === Isolated pageblocks ================================================= */

static bool chunk_isolated(const struct page *page, unsigned int order)
{
	const struct page *end = page + (1UL << order);

	if (likely(!has_isolated_pageblocks(page_zone(page))))
		return false;

	for (; page < end; page += pageblock_nr_pages)
		if (is_migrate_isolate(get_pageblock_migratetype(page)))
			return true;
	return false;
}

/*
 * Have memory given back if any of the block is isolated: the chunk may have
 * become a part of a larger one.
 */
static void wake_if_isolated(const struct unmapped_zone *uz, const struct page *page)
{
	const unsigned long first = round_down(page_to_pfn(page),
					       UNMAPPED_BLOCK_PAGES);

	if (unlikely(chunk_isolated(pfn_to_page(first), PMD_ORDER)))
		unmapped_isolated_wake(unmapped_node(uz->nid));
}

/* Put a chunk that was used on the lists, or give it back if it is isolated. */
static void put_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, unsigned long state)
{
	lockdep_assert_held(&uz->lock);

	if (merge_free_locked(uz, page, order, state))
		wake_if_isolated(uz, page);
}

/*
 * The first chunk of a list that can be handed out. Those that are isolated wait
 * at the end of the list, from which memory is given back.
 */
static struct page *first_free_locked(struct unmapped_zone *uz,
				      enum unmapped_kind kind,
				      unsigned int order)
{
	struct list_head *list = &uz->free[kind][order];
	struct page *page;
	unsigned int i;

	lockdep_assert_held(&uz->lock);

	for (i = 0; i < UNMAPPED_BATCH; i++) {
		page = list_first_entry_or_null(list, struct page, buddy_list);
		if (!page || likely(!chunk_isolated(page, order)))
			return page;
		list_move_tail(&page->buddy_list, list);
	}
	return NULL;
}

/* === Poisoned pages ====================================================== */

static bool chunk_poisoned(const struct page *page, unsigned int order)
{
	unsigned long i;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return false;

	for (i = 0; i < 1UL << order; i++)
		if (PageHWPoison(page + i))
			return true;
	return false;
}

static void lose_page_locked(struct unmapped_zone *uz, struct page *page,
			     unsigned long *from)
{
	lockdep_assert_held(&uz->lock);

	unmapped_tag_lose(page, 0);
	set_page_private(page, UNMAPPED_LOST);
	move_count_locked(uz, from, &uz->count.lost, 0);
	add_owned_locked(uz, -1);
}

/**
 * unmapped_zone_lose_page() - account a page as lost whose memory is gone
 * @uz: its zone.
 * @page: the page; nothing is done if it was lost before.
 *
 * memory_failure() keeps a reference to a poisoned page for good. If it was in
 * use then, it is counted as used until its memory goes offline.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_lose_page(struct unmapped_zone *uz, struct page *page)
{
	guard(spinlock_irqsave)(&uz->lock);
	if (page_private(page) != UNMAPPED_LOST)
		lose_page_locked(uz, page, &uz->count.used);
}

/* Put a page counted in @from on the lists; it is lost if poisoned. */
static void put_page_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned long *from, unsigned long zeroed)
{
	lockdep_assert_held(&uz->lock);

	if (unlikely(PageHWPoison(page))) {
		/*
		 * It remains unmapped and is never accessed again. Nor is it
		 * freed again: unpoison_memory() leaves a page alone that has
		 * references besides that of memory failure.
		 */
		lose_page_locked(uz, page, from);
		set_page_count(page, 2);
	} else {
		move_count_locked(uz, from, &uz->count.cached, 0);
		put_free_locked(uz, page, 0, zeroed);
	}
}

/* Put the pages of a chunk that has poisoned ones; counted in @from. */
static void put_sound_pages(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, unsigned long *from,
			    unsigned long zeroed)
{
	struct page *end = page + (1UL << order);
	unsigned int i;

	while (page < end) {
		guard(spinlock_irqsave)(&uz->lock);
		for (i = 0; i < UNMAPPED_BATCH && page < end; i++)
			put_page_locked(uz, page++, from, zeroed);
	}
}

/* === Taking ============================================================== */

/* Returns a chunk with its order, and UNMAPPED_ZEROED, in page->private. */
static struct page *take_kind_locked(struct unmapped_zone *uz,
				     enum unmapped_kind kind,
				     unsigned int order, unsigned int from,
				     unsigned int to)
{
	unsigned long state;
	struct page *page;
	unsigned int o;

	lockdep_assert_held(&uz->lock);

	for (o = max(order, from); o <= to; o++) {
		page = first_free_locked(uz, kind, o);
		if (!page)
			continue;
		state = del_free_locked(uz, page);
		split_chunk_locked(uz, page, o, order, kind, state);
		set_page_private(page, order | (state & UNMAPPED_ZEROED));
		return page;
	}
	return NULL;
}

/* Blocks were taken: only those that remain can have been idle. */
static void note_left_locked(struct unmapped_zone *uz)
{
	lockdep_assert_held(&uz->lock);

	uz->nr_idle = min(uz->nr_idle, uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER]);
}

static void note_taken_locked(struct unmapped_zone *uz, unsigned int order)
{
	lockdep_assert_held(&uz->lock);

	move_count_locked(uz, &uz->count.cached, &uz->count.used, order);
	uz->nr_taken++;
	note_left_locked(uz);
}

/*
 * Partly used blocks come first, so that the others stay whole and can be given
 * back. Fragments come next: the large entry of their area is split anyway
 * until all of them are free.
 */
static struct page *take_free_locked(struct unmapped_zone *uz,
				     unsigned int order)
{
	struct page *page;

	lockdep_assert_held(&uz->lock);

	page = take_kind_locked(uz, UNMAPPED_BLOCK, order, 0, PMD_ORDER - 1);
	if (!page)
		page = take_kind_locked(uz, UNMAPPED_FRAGMENT, order, 0,
					PMD_ORDER - 1);
	if (!page)
		page = take_kind_locked(uz, UNMAPPED_BLOCK, order, PMD_ORDER,
					PMD_ORDER);
	if (!page)
		return NULL;

	note_taken_locked(uz, order);
	return page;
}

/**
 * unmapped_zone_take() - take a chunk off the lists
 * @uz: the zone.
 * @order: its order.
 *
 * Context: Any context except NMI.
 * Return: the first page, counted as used, with UNMAPPED_ZEROED in
 * page->private if all of the chunk is zero; or NULL.
 */
struct page *unmapped_zone_take(struct unmapped_zone *uz, unsigned int order)
{
	struct page *page;

	/* Racy, but a page freed at this moment can be missed anyway. */
	if (READ_ONCE(uz->count.cached) < 1UL << order)
		return NULL;

	while (1) {
		scoped_guard(spinlock_irqsave, &uz->lock)
			page = take_free_locked(uz, order);
		if (!page || likely(!chunk_poisoned(page, order)))
			return page;
		put_sound_pages(uz, page, order, &uz->count.used,
				page_private(page) & UNMAPPED_ZEROED);
	}
}

/* Take the smallest free chunk, unless its order is above @max. */
static struct page *take_small_locked(struct unmapped_zone *uz,
				      unsigned int max)
{
	struct page *page;
	unsigned int o;
	int kind;

	lockdep_assert_held(&uz->lock);

	for (kind = UNMAPPED_BLOCK; kind <= UNMAPPED_FRAGMENT; kind++) {
		for (o = 0; o <= max; o++) {
			page = take_kind_locked(uz, kind, o, o, o);
			if (!page)
				continue;
			note_taken_locked(uz, o);
			return page;
		}
	}
	return NULL;
}

/*
 * Collect chunks with up to @nr pages in total, linked by page->pcp_llist in
 * the order in which they were taken. Returns the number of pages.
 */
static unsigned int take_chunks_locked(struct unmapped_zone *uz,
				       unsigned int nr,
				       struct llist_node **chunks)
{
	unsigned int i, max, got = 0;
	struct page *page;

	lockdep_assert_held(&uz->lock);

	for (i = 0; i < UNMAPPED_BATCH && got < nr; i++) {
		max = min(ilog2(nr - got), PMD_ORDER - 1);
		page = take_small_locked(uz, max);
		if (!page) {
			if (got >= DIV_ROUND_UP(nr, 2))
				break;
			page = take_free_locked(uz, max);
		}
		if (!page)
			break;
		*chunks = &page->pcp_llist;
		chunks = &page->pcp_llist.next;
		got += 1U << chunk_order(page);
	}
	*chunks = NULL;
	return got;
}

/* Append the pages of a chunk to a list, each with its state. */
static void link_pages(struct page *page, struct llist_node **list,
		       struct llist_node **last)
{
	struct page *end = page + (1UL << chunk_order(page)) - 1, *p;
	unsigned long zeroed = page_private(page) & UNMAPPED_ZEROED;

	for (p = page; p < end; p++) {
		set_page_private(p, zeroed);
		p->pcp_llist.next = &p[1].pcp_llist;
	}
	set_page_private(end, zeroed);
	end->pcp_llist.next = NULL;
	if (*last)
		(*last)->next = &page->pcp_llist;
	else
		*list = &page->pcp_llist;
	*last = &end->pcp_llist;
}

/**
 * unmapped_zone_take_bulk() - take order-0 pages off the lists
 * @uz: the zone.
 * @nr: number of pages; not 0.
 * @list: head of the list to which they are appended, linked by
 *	page->pcp_llist.
 * @last: tail of that list; NULL if it is empty.
 *
 * Small chunks are used up first; larger ones are taken whole if possible. If
 * small chunks provide at least half of @nr, no large one is split for the
 * rest: that would leave just as many small chunks for the next call.
 *
 * The caller handles poisoned pages, and clears those that don't have
 * UNMAPPED_ZEROED in page->private.
 *
 * Context: Any context except NMI.
 * Return: the number of pages taken; 0 only if there are none.
 */
unsigned int unmapped_zone_take_bulk(struct unmapped_zone *uz, unsigned int nr,
				     struct llist_node **list,
				     struct llist_node **last)
{
	struct llist_node *chunks, *next;
	unsigned int got;

	if (!READ_ONCE(uz->count.cached))
		return 0;

	scoped_guard(spinlock_irqsave, &uz->lock)
		got = take_chunks_locked(uz, nr, &chunks);

	for (; chunks; chunks = next) {
		next = chunks->next;
		link_pages(llist_entry(chunks, struct page, pcp_llist), list,
			   last);
	}
	return got;
}

/* === Putting ============================================================= */

/**
 * unmapped_zone_put() - put a used chunk back on the lists
 * @uz: its zone.
 * @page: first page; UNMAPPED_ZEROED in page->private if all of it is zero.
 * @order: its order.
 *
 * Poisoned pages in it are accounted as lost.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_put(struct unmapped_zone *uz, struct page *page,
		       unsigned int order)
{
	unsigned long zeroed = page_private(page) & UNMAPPED_ZEROED;

	if (unlikely(chunk_poisoned(page, order))) {
		put_sound_pages(uz, page, order, &uz->count.used, zeroed);
		return;
	}

	guard(spinlock_irqsave)(&uz->lock);
	move_count_locked(uz, &uz->count.used, &uz->count.cached, order);
	put_free_locked(uz, page, order, zeroed);
}

/**
 * unmapped_zone_put_bulk() - put used order-0 pages back on the lists
 * @uz: their zone.
 * @list: the pages, linked by page->pcp_llist, each as for unmapped_zone_put().
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_put_bulk(struct unmapped_zone *uz, struct llist_node *list)
{
	struct page *page;
	unsigned int i;

	while (list) {
		guard(spinlock_irqsave)(&uz->lock);
		for (i = 0; i < UNMAPPED_BATCH && list; i++) {
			page = llist_entry(list, struct page, pcp_llist);
			list = list->next;
			put_page_locked(uz, page, &uz->count.used,
					page_private(page) & UNMAPPED_ZEROED);
		}
	}
}

/**
 * unmapped_zone_insert() - add a new chunk, and hand out a part of it
 * @uz: its zone.
 * @page: first page, absent from the direct map.
 * @from: its order.
 * @order: the first 2^@order pages are handed out, and the rest goes to the
 *	lists; -1 to put all of it on the lists.
 * @zeroed: is all of it zero?
 *
 * Taking the caller's part and inserting the rest is a single step, so that no
 * other CPU can take that part. Its first page has UNMAPPED_ZEROED in
 * page->private if it is zero.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_insert(struct unmapped_zone *uz, struct page *page,
			  unsigned int from, int order, bool zeroed)
{
	unsigned long state = zeroed ? UNMAPPED_ZEROED : 0;

	guard(spinlock_irqsave)(&uz->lock);
	add_owned_locked(uz, 1L << from);
	/* It may have been isolated since it was taken from the page allocator. */
	wake_if_isolated(uz, page);
	if (order < 0) {
		uz->count.cached += 1UL << from;
		merge_free_locked(uz, page, from, state);
		return;
	}
	split_chunk_locked(uz, page, from, order,
			   from == PMD_ORDER ? UNMAPPED_BLOCK : UNMAPPED_FRAGMENT,
			   state);
	set_page_private(page, order | state);
	uz->nr_taken++;
	uz->count.used += 1UL << order;
	uz->count.cached += (1UL << from) - (1UL << order);
}

static void lose_locked(struct unmapped_zone *uz, unsigned int order)
{
	lockdep_assert_held(&uz->lock);

	pr_warn_once("direct map not restored, memory is lost\n");
	uz->count.lost += 1UL << order;
}

/**
 * unmapped_zone_lose() - account a new chunk as lost
 * @uz: its zone.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_lose(struct unmapped_zone *uz, unsigned int order)
{
	guard(spinlock_irqsave)(&uz->lock);
	lose_locked(uz, order);
}

/* === Giving back ========================================================= */

static struct page *last_of_kind_locked(struct unmapped_zone *uz,
					enum unmapped_kind kind,
					unsigned int order)
{
	struct list_head *list = &uz->free[kind][order];

	lockdep_assert_held(&uz->lock);

	return list_empty(list) ? NULL :
				  list_last_entry(list, struct page, buddy_list);
}

static struct page *last_chunk_locked(struct unmapped_zone *uz,
				      unsigned int kinds)
{
	struct page *page = NULL;
	int order;

	lockdep_assert_held(&uz->lock);

	if (kinds & UNMAPPED_BLOCKS)
		page = last_of_kind_locked(uz, UNMAPPED_BLOCK, PMD_ORDER);
	if (!(kinds & UNMAPPED_FRAGMENTS))
		return page;
	for (order = PMD_ORDER - 1; !page && order >= 0; order--)
		page = last_of_kind_locked(uz, UNMAPPED_FRAGMENT, order);
	return page;
}

/**
 * unmapped_zone_detach() - take the next chunk to give back off the lists
 * @uz: the zone.
 * @kinds: UNMAPPED_BLOCKS, UNMAPPED_FRAGMENTS, or both.
 * @order: set to its order.
 * @zeroed: set to whether all of it is zero.
 *
 * That is the block that has been free for longest, then the largest fragment.
 * Partly used blocks are left alone: no part of them can be mapped without
 * splitting their direct map entry.
 *
 * Context: Any context except NMI.
 * Return: the first page, counted as in transit, or NULL.
 */
struct page *unmapped_zone_detach(struct unmapped_zone *uz, unsigned int kinds,
				  unsigned int *order, bool *zeroed)
{
	struct page *page;

	while (1) {
		scoped_guard(spinlock_irqsave, &uz->lock) {
			page = last_chunk_locked(uz, kinds);
			if (!page)
				return NULL;
			*order = chunk_order(page);
			*zeroed = del_free_locked(uz, page) & UNMAPPED_ZEROED;
			move_count_locked(uz, &uz->count.cached,
					  &uz->count.transit, *order);
			note_left_locked(uz);
		}
		if (likely(!chunk_poisoned(page, *order)))
			return page;
		put_sound_pages(uz, page, *order, &uz->count.transit,
				*zeroed ? UNMAPPED_ZEROED : 0);
	}
}

/**
 * unmapped_zone_reattach() - put back a chunk that could not be released
 * @uz: its zone.
 * @page: first page, NULL if the chunk is lost.
 * @order: its order.
 * @zeroed: is all of it zero?
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_reattach(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, bool zeroed)
{
	guard(spinlock_irqsave)(&uz->lock);
	if (!page) {
		uz->count.transit -= 1UL << order;
		add_owned_locked(uz, -(1L << order));
		lose_locked(uz, order);
		return;
	}
	move_count_locked(uz, &uz->count.transit, &uz->count.cached, order);
	/* If it is isolated, don't try again at once: that would fail, too. */
	merge_free_locked(uz, page, order, zeroed ? UNMAPPED_ZEROED : 0);
}

/**
 * unmapped_zone_release() - account a detached chunk as given back
 * @uz: its zone.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_release(struct unmapped_zone *uz, unsigned int order)
{
	guard(spinlock_irqsave)(&uz->lock);
	uz->count.transit -= 1UL << order;
	add_owned_locked(uz, -(1L << order));
}

/* === Reporting =========================================================== */

#ifdef CONFIG_UNMAPPED_REPORTING
/*
 * The next chunk of a list that is neither reported nor isolated; the others are
 * moved to the end. If there are many of them, the next call goes on with the
 * rest.
 */
static struct page *next_unreported_locked(struct unmapped_zone *uz,
					   enum unmapped_kind kind,
					   unsigned int order)
{
	struct list_head *list = &uz->free[kind][order];
	struct page *page;
	unsigned int i;

	lockdep_assert_held(&uz->lock);

	for (i = 0; i < UNMAPPED_BATCH; i++) {
		if (uz->nr_free[kind][order] == uz->nr_reported[kind][order])
			return NULL;
		page = list_first_entry(list, struct page, buddy_list);
		if (!(page_private(page) & UNMAPPED_REPORTED) &&
		    !chunk_isolated(page, order))
			return page;
		list_move_tail(&page->buddy_list, list);
	}
	return NULL;
}

static struct page *detach_unreported(struct unmapped_zone *uz,
				      enum unmapped_kind kind,
				      unsigned int order, bool *zeroed)
{
	struct page *page;

	guard(spinlock_irqsave)(&uz->lock);
	page = next_unreported_locked(uz, kind, order);
	if (!page)
		return NULL;
	*zeroed = del_free_locked(uz, page) & UNMAPPED_ZEROED;
	move_count_locked(uz, &uz->count.cached, &uz->count.transit, order);
	return page;
}

/**
 * unmapped_zone_detach_unreported() - take a chunk to report off the lists
 * @uz: the zone.
 * @min: its order is at least this, ...
 * @order: ... and set to this.
 * @zeroed: set to whether all of it is zero.
 *
 * That is one of the largest chunks that are not reported yet.
 *
 * Context: Any context except NMI.
 * Return: the first page, counted as in transit, or NULL.
 */
struct page *unmapped_zone_detach_unreported(struct unmapped_zone *uz,
					     unsigned int min,
					     unsigned int *order, bool *zeroed)
{
	struct page *page;
	int o, kind;

	for (o = PMD_ORDER; o >= (int)min; o--) {
		for (kind = UNMAPPED_BLOCK; kind <= UNMAPPED_FRAGMENT; kind++) {
			page = detach_unreported(uz, kind, o, zeroed);
			if (!page)
				continue;
			*order = o;
			if (likely(!chunk_poisoned(page, o)))
				return page;
			put_sound_pages(uz, page, o, &uz->count.transit,
					*zeroed ? UNMAPPED_ZEROED : 0);
		}
	}
	return NULL;
}

/**
 * unmapped_zone_put_reported() - put back a chunk that was to be reported
 * @uz: its zone.
 * @page: first page.
 * @order: its order.
 * @reported: was it reported?
 *
 * Its contents are undefined from then on, even if the report failed.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_put_reported(struct unmapped_zone *uz, struct page *page,
				unsigned int order, bool reported)
{
	guard(spinlock_irqsave)(&uz->lock);
	move_count_locked(uz, &uz->count.transit, &uz->count.cached, order);
	put_free_locked(uz, page, order, reported ? UNMAPPED_REPORTED : 0);
}

/**
 * unmapped_zone_nr_reported() - number of free pages that were reported
 * @uz: the zone.
 *
 * Context: Any context.
 * Return: the number, which may be out of date already.
 */
unsigned long unmapped_zone_nr_reported(const struct unmapped_zone *uz)
{
	unsigned long nr = 0;
	int kind, order;

	for (kind = UNMAPPED_BLOCK; kind <= UNMAPPED_FRAGMENT; kind++)
		for (order = 0; order <= PMD_ORDER; order++)
			nr += READ_ONCE(uz->nr_reported[kind][order]) << order;
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_zone_nr_reported);
#endif /* CONFIG_UNMAPPED_REPORTING */

/* === Breaking blocks ===================================================== */

/* A block with this many free pages is broken without looking for another. */
#define BREAK_AT_ONCE		(UNMAPPED_BLOCK_PAGES / 8 * 7)

/* Chunks of each order whose blocks are looked at; the lists can be long. */
#define BREAK_CANDIDATES	4

static struct page *block_of(struct page *page)
{
	return pfn_to_page(ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES));
}

/*
 * Turn the block of a free chunk into fragments. A part of it is on the lists, so
 * the block is in transit neither from nor to the page allocator. Returns false
 * if the bitmap can't be allocated.
 */
static bool break_locked(struct unmapped_zone *uz, struct page *page)
{
	lockdep_assert_held(&uz->lock);

	/* Another CPU may have broken it, and be about to move its chunks. */
	if (unmapped_kind(page) == UNMAPPED_FRAGMENT)
		return true;
	if (unmapped_block_to_fragments(block_of(page)))
		return false;
	count_vm_event(UNMAPPED_BREAK);
	trace_unmapped_break(block_of(page), PMD_ORDER);
	return true;
}

/* How many pages of the block of a free chunk are free, too. */
static unsigned int nr_free_around_locked(struct unmapped_zone *uz,
					  struct page *chunk)
{
	struct page *page = block_of(chunk), *end = page + UNMAPPED_BLOCK_PAGES;
	unsigned int nr, nr_free = 0;

	lockdep_assert_held(&uz->lock);

	for (; page < end; page += nr) {
		nr = 1;
		if (PageUnmappedFree(page)) {
			nr = 1U << chunk_order(page);
			nr_free += nr;
		}
	}
	return nr_free;
}

/* Move a free chunk of a split-up block to the lists of fragments. */
static void move_chunk_locked(struct unmapped_zone *uz, struct page *page)
{
	unsigned int order = chunk_order(page);

	lockdep_assert_held(&uz->lock);

	if (chunk_list(page) == UNMAPPED_BLOCK &&
	    unmapped_kind(page) == UNMAPPED_FRAGMENT)
		add_free_locked(uz, page, order, UNMAPPED_FRAGMENT,
				del_free_locked(uz, page));
}

/*
 * Once the lock is released, a page that is free can be given back and removed
 * from the machine, with its struct page. That is not done to memory that was
 * online when the lock was taken, see unmapped_zone_sync().
 */
static struct page *online_page_locked(struct unmapped_zone *uz,
				       unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	lockdep_assert_held(&uz->lock);

	return page && unmapped_page_zone(page) == uz ? page : NULL;
}

/**
 * unmapped_zone_sync() - wait until no CPU looks at memory that went offline
 * @uz: its zone.
 *
 * Called when the memory is not online any more, before its struct pages go.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_sync(struct unmapped_zone *uz)
{
	guard(spinlock_irqsave)(&uz->lock);
}

/* Move the free chunks among the next pages, from @i on; returns the new @i. */
VISIBLE_IF_KUNIT unsigned long unmapped_move_chunks(struct unmapped_zone *uz,
						    unsigned long pfn,
						    unsigned long i)
{
	struct page *block;
	unsigned int n;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_move_chunks, uz, pfn, i);

	guard(spinlock_irqsave)(&uz->lock);
	block = online_page_locked(uz, pfn);
	if (!block)
		return UNMAPPED_BLOCK_PAGES;
	for (n = 0; n < UNMAPPED_BATCH && i < UNMAPPED_BLOCK_PAGES; n++) {
		struct page *page = block + i++;

		if (!PageUnmappedFree(page))
			continue;
		move_chunk_locked(uz, page);
		i += (1UL << chunk_order(page)) - 1;
	}
	return i;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_move_chunks);

/*
 * The block has become fragments: move its free chunks to their lists, in
 * rounds. Between rounds, chunks can be taken and can merge as usual, they can
 * be given back, the area may become a block again, and even be removed.
 */
static void move_chunks(struct unmapped_zone *uz, unsigned long pfn)
{
	unsigned long i = 0;

	while (i < UNMAPPED_BLOCK_PAGES)
		i = unmapped_move_chunks(uz, pfn, i);
}

/**
 * struct candidate - the block of those looked at with the most free pages
 * @pfn: page frame of a free chunk of it, if @nr_free is not 0.
 * @nr_free: number of its free pages.
 */
struct candidate {
	unsigned long pfn;
	unsigned int nr_free;
};

/*
 * Look at the block of the first chunk of this order. Another chunk is the first
 * one next time.
 */
static void look_at_first(struct unmapped_zone *uz, unsigned int order,
			  struct candidate *best)
{
	struct list_head *list = &uz->free[UNMAPPED_BLOCK][order];
	unsigned int nr_free;
	struct page *page;

	guard(spinlock_irqsave)(&uz->lock);
	page = list_first_entry_or_null(list, struct page, buddy_list);
	if (!page)
		return;
	nr_free = nr_free_around_locked(uz, page);
	if (nr_free > best->nr_free)
		*best = (struct candidate){ page_to_pfn(page), nr_free };
	list_move_tail(&page->buddy_list, list);
}

/*
 * Look at the blocks of a few chunks of each order: a large chunk is likely to be
 * in a block with many free pages.
 */
static void find_candidate(struct unmapped_zone *uz, struct candidate *best)
{
	int order, i;

	for (order = PMD_ORDER - 1; order >= 0; order--) {
		for (i = 0; i < BREAK_CANDIDATES; i++) {
			look_at_first(uz, order, best);
			if (best->nr_free >= BREAK_AT_ONCE)
				return;
		}
	}
}

/* Break the block of a chunk, unless others took too much of it meanwhile. */
static bool break_candidate(struct unmapped_zone *uz, unsigned long pfn,
			    unsigned int min)
{
	struct page *chunk;

	guard(spinlock_irqsave)(&uz->lock);
	chunk = online_page_locked(uz, pfn);
	return chunk && PageUnmappedFree(chunk) && chunk_order(chunk) < PMD_ORDER &&
	       nr_free_around_locked(uz, chunk) >= min &&
	       break_locked(uz, chunk);
}

/**
 * unmapped_zone_break_block() - split up a block to release its free part
 * @uz: the zone.
 * @min: the block has at least this many free pages; not 0.
 *
 * A partly used block, of those looked at the one with the most free pages,
 * becomes fragments.
 *
 * Context: Any context except NMI.
 * Return: true if there was such a block.
 */
bool unmapped_zone_break_block(struct unmapped_zone *uz, unsigned int min)
{
	struct candidate best = {};

	find_candidate(uz, &best);
	if (best.nr_free < min || !break_candidate(uz, best.pfn, min))
		return false;
	move_chunks(uz, ALIGN_DOWN(best.pfn, UNMAPPED_BLOCK_PAGES));
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_zone_break_block);

/* Break the block of this page, if a free chunk starts here. */
static bool break_at(struct unmapped_zone *uz, struct page *page)
{
	guard(spinlock_irqsave)(&uz->lock);
	return PageUnmappedFree(page) && chunk_order(page) < PMD_ORDER &&
	       break_locked(uz, page);
}

/**
 * unmapped_zone_break_this() - split up this block to release its free part
 * @uz: its zone.
 * @page: a page of an area, which may no longer be a block.
 *
 * Does nothing if no part of the block is free, or all of it, or if the bitmap
 * can't be allocated; the caller then finds the memory still owned.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_break_this(struct unmapped_zone *uz, struct page *page)
{
	struct page *block = block_of(page);

	for (page = block; page < block + UNMAPPED_BLOCK_PAGES; page++) {
		if (PageUnmappedFree(page) && break_at(uz, page)) {
			move_chunks(uz, page_to_pfn(block));
			return;
		}
	}
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_zone_break_this);

/* === Boot ================================================================ */

/**
 * unmapped_zone_init() - initialize the lists
 * @uz: the zone, zeroed.
 * @nid: its node.
 */
void __init unmapped_zone_init(struct unmapped_zone *uz, int nid)
{
	int kind, order;

	uz->nid = nid;
	spin_lock_init(&uz->lock);
	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++)
		for (order = 0; order <= PMD_ORDER; order++)
			INIT_LIST_HEAD(&uz->free[kind][order]);
}
