// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: the free lists of a zone.
 *
 * A buddy system of its own: its pages are not in the direct map, so that they
 * can't be on the page allocator's lists. Blocks and fragments have lists of
 * their own, see unmapped-owner.c.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

/* Move pages from one count to another. */
static void move_count(struct unmapped_zone *uz, unsigned long *from,
		       unsigned long *to, unsigned int order)
{
	lockdep_assert_held(&uz->lock);

	*from -= 1UL << order;
	*to += 1UL << order;
}

static void add_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, enum unmapped_kind kind)
{
	lockdep_assert_held(&uz->lock);

	set_page_private(page, order);
	__SetPageUnmappedFree(page);
	list_add(&page->buddy_list, &uz->free[kind][order]);
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] + 1);
}

static void del_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, enum unmapped_kind kind)
{
	lockdep_assert_held(&uz->lock);

	list_del(&page->buddy_list);
	__ClearPageUnmappedFree(page);
	set_page_private(page, 0);
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] - 1);
}

/* Keep the first 2^@low pages of a chunk of 2^@high, the rest is free. */
static void split_chunk_locked(struct unmapped_zone *uz, struct page *page,
			       unsigned int high, unsigned int low,
			       enum unmapped_kind kind)
{
	while (high > low) {
		high--;
		add_free_locked(uz, page + (1UL << high), high, kind);
	}
}

static struct page *free_buddy(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page);
	struct page *buddy = page + (__find_buddy_pfn(pfn, order) - pfn);

	if (!PageUnmappedFree(buddy) || page_private(buddy) != order)
		return NULL;
	/* The boundary of a node can be inside of an area. */
	return page_zone_id(buddy) == page_zone_id(page) ? buddy : NULL;
}

/* Put a chunk on the lists, merged with its free neighbours up to a block. */
static void merge_free_locked(struct unmapped_zone *uz, struct page *page,
			      unsigned int order)
{
	enum unmapped_kind kind = unmapped_kind(page);
	struct page *buddy;

	while (order < PMD_ORDER && (buddy = free_buddy(page, order))) {
		del_free_locked(uz, buddy, order, kind);
		page = min(page, buddy);
		order++;
	}

	if (order == PMD_ORDER && kind == UNMAPPED_FRAGMENT) {
		unmapped_fragments_to_block(page);
		kind = UNMAPPED_BLOCK;
	}
	add_free_locked(uz, page, order, kind);
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

/*
 * Put the sound pages of a chunk, counted in @from, back on the lists. The
 * others are lost, and remain unmapped: they are never touched again.
 */
static void put_sound_pages_locked(struct unmapped_zone *uz, struct page *page,
				   unsigned int order, unsigned long *from)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++) {
		if (PageHWPoison(page + i)) {
			move_count(uz, from, &uz->count.lost, 0);
			uz->count.owned--;
		} else {
			move_count(uz, from, &uz->count.cached, 0);
			merge_free_locked(uz, page + i, 0);
		}
	}
}

/* === Taking ============================================================== */

static struct page *take_kind_locked(struct unmapped_zone *uz,
				     enum unmapped_kind kind,
				     unsigned int order, unsigned int from,
				     unsigned int to)
{
	struct page *page;
	unsigned int o;

	for (o = max(order, from); o <= to; o++) {
		page = list_first_entry_or_null(&uz->free[kind][o],
						struct page, buddy_list);
		if (!page)
			continue;
		del_free_locked(uz, page, o, kind);
		split_chunk_locked(uz, page, o, order, kind);
		return page;
	}
	return NULL;
}

/* Blocks left the lists: only what is there still can have been idle. */
static void note_left_locked(struct unmapped_zone *uz)
{
	uz->nr_idle = min(uz->nr_idle, uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER]);
}

static void note_taken_locked(struct unmapped_zone *uz, unsigned int order)
{
	move_count(uz, &uz->count.cached, &uz->count.used, order);
	uz->nr_taken++;
	note_left_locked(uz);
}

/*
 * Blocks that are in use partly come first, so that the others stay whole and
 * can be given back. Fragments come next: what is left of an area's large
 * entry is lost anyway until all of them are free.
 */
static struct page *take_free_locked(struct unmapped_zone *uz,
				     unsigned int order)
{
	struct page *page;

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

/*
 * For those who don't want their pages cleared: what others of them left, and
 * if there is nothing, a block of their own.
 */
static struct page *take_nozero_locked(struct unmapped_zone *uz,
				       unsigned int order)
{
	struct page *page;

	page = take_kind_locked(uz, UNMAPPED_NOZERO, order, 0, PMD_ORDER);
	if (!page) {
		page = take_kind_locked(uz, UNMAPPED_BLOCK, PMD_ORDER,
					PMD_ORDER, PMD_ORDER);
		if (!page)
			return NULL;
		unmapped_block_to_nozero(page);
		split_chunk_locked(uz, page, PMD_ORDER, order, UNMAPPED_NOZERO);
	}
	note_taken_locked(uz, order);
	return page;
}

/**
 * unmapped_zone_take() - take a chunk off the lists
 * @uz: the zone.
 * @order: its order.
 * @nozero: the contents don't matter.
 *
 * Context: Any context except NMI.
 * Return: the first page, counted as used, or NULL.
 */
struct page *unmapped_zone_take(struct unmapped_zone *uz, unsigned int order,
				bool nozero)
{
	struct page *page;

	/* Racy, but a page freed at this moment can be missed anyway. */
	if (READ_ONCE(uz->count.cached) < 1UL << order)
		return NULL;

	guard(spinlock_irqsave)(&uz->lock);
	while ((page = nozero ? take_nozero_locked(uz, order) :
				take_free_locked(uz, order))) {
		if (likely(!chunk_poisoned(page, order)))
			break;
		put_sound_pages_locked(uz, page, order, &uz->count.used);
	}
	return page;
}

/* The smallest chunk that there is, if it is not larger than 2^@max. */
static struct page *take_small_locked(struct unmapped_zone *uz,
				      unsigned int max, unsigned int *order)
{
	struct page *page;
	unsigned int o;
	int kind;

	for (kind = UNMAPPED_BLOCK; kind <= UNMAPPED_FRAGMENT; kind++) {
		for (o = 0; o <= max; o++) {
			page = take_kind_locked(uz, kind, o, o, o);
			if (!page)
				continue;
			note_taken_locked(uz, o);
			*order = o;
			return page;
		}
	}
	return NULL;
}

/* Append the pages of a chunk to a list. */
static void link_pages(struct page *page, unsigned int order,
		       struct llist_node **list, struct llist_node **last)
{
	struct page *end = page + (1UL << order) - 1, *p;

	for (p = page; p < end; p++)
		p->pcp_llist.next = &p[1].pcp_llist;
	end->pcp_llist.next = NULL;
	if (*last)
		(*last)->next = &page->pcp_llist;
	else
		*list = &page->pcp_llist;
	*last = &end->pcp_llist;
}

/**
 * unmapped_zone_take_bulk() - take single pages off the lists
 * @uz: the zone.
 * @nr: how many; not 0.
 * @list: first of the list that they are appended to, linked by
 *	page->pcp_llist.
 * @last: last of that list; NULL if it is empty.
 *
 * Small chunks are used up first, larger ones taken whole as far as possible. If
 * small ones make at least a half of @nr, no large one is split for the rest:
 * that would leave as many small ones for the next time.
 * The caller has to see to poisoned pages.
 *
 * Context: Any context except NMI.
 * Return: how many it takes, at least a half of @nr if there are as many.
 */
unsigned int unmapped_zone_take_bulk(struct unmapped_zone *uz, unsigned int nr,
				     struct llist_node **list,
				     struct llist_node **last)
{
	unsigned int order, max, got = 0;
	struct page *page;

	if (!READ_ONCE(uz->count.cached))
		return 0;

	guard(spinlock_irqsave)(&uz->lock);
	while (got < nr) {
		max = min(ilog2(nr - got), PMD_ORDER - 1);
		page = take_small_locked(uz, max, &order);
		if (!page) {
			if (got >= DIV_ROUND_UP(nr, 2))
				break;
			order = max;
			page = take_free_locked(uz, order);
		}
		if (!page)
			break;
		link_pages(page, order, list, last);
		got += 1U << order;
	}
	return got;
}

/* === Putting ============================================================= */

/**
 * unmapped_zone_put() - put a chunk that was used on the lists
 * @uz: its zone.
 * @page: first page; cleared, unless it is poisoned.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_put(struct unmapped_zone *uz, struct page *page,
		       unsigned int order)
{
	guard(spinlock_irqsave)(&uz->lock);
	if (unlikely(chunk_poisoned(page, order))) {
		put_sound_pages_locked(uz, page, order, &uz->count.used);
		return;
	}
	move_count(uz, &uz->count.used, &uz->count.cached, order);
	merge_free_locked(uz, page, order);
}

/**
 * unmapped_zone_put_bulk() - put single pages on the lists
 * @uz: their zone.
 * @list: the pages, cleared, linked by page->pcp_llist.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_put_bulk(struct unmapped_zone *uz, struct llist_node *list)
{
	struct page *page, *next;

	guard(spinlock_irqsave)(&uz->lock);
	llist_for_each_entry_safe(page, next, list, pcp_llist)
		put_sound_pages_locked(uz, page, 0, &uz->count.used);
}

/**
 * unmapped_zone_insert() - add a new chunk, of which a part is handed out
 * @uz: its zone.
 * @page: first page; cleared, and absent from the direct map.
 * @from: its order.
 * @order: the first 2^@order pages are handed out; the rest goes to the lists.
 *	-1 if all of it does.
 *
 * That share and the insertion are one step, so that nobody can take it away
 * from the caller.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_insert(struct unmapped_zone *uz, struct page *page,
			  unsigned int from, int order)
{
	enum unmapped_kind kind = unmapped_kind(page);

	guard(spinlock_irqsave)(&uz->lock);
	uz->count.owned += 1UL << from;
	uz->count.used += 1UL << from;
	if (order < 0) {
		move_count(uz, &uz->count.used, &uz->count.cached, from);
		merge_free_locked(uz, page, from);
		return;
	}
	split_chunk_locked(uz, page, from, order, kind);
	uz->nr_taken++;
	uz->count.used -= (1UL << from) - (1UL << order);
	uz->count.cached += (1UL << from) - (1UL << order);
}

/**
 * unmapped_zone_lose() - note that a new chunk can't be used by anybody
 * @uz: its zone.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_lose(struct unmapped_zone *uz, unsigned int order)
{
	pr_warn_once("direct map not restored, memory is lost\n");

	guard(spinlock_irqsave)(&uz->lock);
	uz->count.lost += 1UL << order;
}

/* === Giving back ========================================================= */

static struct page *last_of_kind_locked(struct unmapped_zone *uz,
					enum unmapped_kind kind,
					unsigned int order)
{
	struct list_head *list = &uz->free[kind][order];
	struct page *page;

	if (list_empty(list))
		return NULL;
	page = list_last_entry(list, struct page, buddy_list);
	del_free_locked(uz, page, order, kind);
	move_count(uz, &uz->count.cached, &uz->count.transit, order);
	note_left_locked(uz);
	return page;
}

static struct page *last_chunk_locked(struct unmapped_zone *uz, bool all,
				      unsigned int *order)
{
	struct page *page;

	*order = PMD_ORDER;
	page = last_of_kind_locked(uz, UNMAPPED_BLOCK, PMD_ORDER);
	if (!page && all)
		page = last_of_kind_locked(uz, UNMAPPED_NOZERO, PMD_ORDER);
	while (!page && all && *order)
		page = last_of_kind_locked(uz, UNMAPPED_FRAGMENT, --*order);
	return page;
}

/**
 * unmapped_zone_isolate() - take the next chunk to give back off the lists
 * @uz: the zone.
 * @all: may it be something else than a block of zeroed pages?
 * @order: set to its order.
 *
 * That is the block that has been free for longest, then the largest fragment.
 * Blocks that are in use partly are left alone: nothing of them can be mapped
 * without splitting their entry of the direct map.
 *
 * Context: Any context except NMI.
 * Return: the first page, counted as in transit, or NULL.
 */
struct page *unmapped_zone_isolate(struct unmapped_zone *uz, bool all,
				   unsigned int *order)
{
	struct page *page;

	guard(spinlock_irqsave)(&uz->lock);
	while ((page = last_chunk_locked(uz, all, order))) {
		if (likely(!chunk_poisoned(page, *order)))
			break;
		put_sound_pages_locked(uz, page, *order, &uz->count.transit);
	}
	return page;
}

/**
 * unmapped_zone_unisolate() - a chunk can't be given back after all
 * @uz: its zone.
 * @page: first page.
 * @order: its order.
 * @lost: it can't go back to the lists either.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_unisolate(struct unmapped_zone *uz, struct page *page,
			     unsigned int order, bool lost)
{
	guard(spinlock_irqsave)(&uz->lock);
	if (lost) {
		pr_warn_once("direct map not restored, memory is lost\n");
		move_count(uz, &uz->count.transit, &uz->count.lost, order);
		uz->count.owned -= 1UL << order;
	} else {
		move_count(uz, &uz->count.transit, &uz->count.cached, order);
		merge_free_locked(uz, page, order);
	}
}

/**
 * unmapped_zone_release() - an isolated chunk is the page allocator's now
 * @uz: its zone.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_release(struct unmapped_zone *uz, unsigned int order)
{
	guard(spinlock_irqsave)(&uz->lock);
	uz->count.transit -= 1UL << order;
	uz->count.owned -= 1UL << order;
}

/* The largest free chunk of a block that is in use partly. */
static struct page *partial_block_locked(struct unmapped_zone *uz)
{
	struct page *page;
	int o;

	lockdep_assert_held(&uz->lock);

	for (o = PMD_ORDER - 1; o >= 0; o--) {
		page = list_first_entry_or_null(&uz->free[UNMAPPED_BLOCK][o],
						struct page, buddy_list);
		if (page)
			return pfn_to_page(ALIGN_DOWN(page_to_pfn(page),
						      UNMAPPED_BLOCK_PAGES));
	}
	return NULL;
}

/* The block has become fragments: its free chunks go to their lists. */
static void move_chunks_locked(struct unmapped_zone *uz, struct page *block)
{
	unsigned long i = 0;
	unsigned int order;

	while (i < UNMAPPED_BLOCK_PAGES) {
		order = 0;
		if (PageUnmappedFree(block + i)) {
			order = page_private(block + i);
			del_free_locked(uz, block + i, order, UNMAPPED_BLOCK);
			add_free_locked(uz, block + i, order,
					UNMAPPED_FRAGMENT);
		}
		i += 1UL << order;
	}
}

static bool break_block_locked(struct unmapped_zone *uz, struct page *block)
{
	lockdep_assert_held(&uz->lock);

	if (unmapped_block_to_fragments(block))
		return false;
	move_chunks_locked(uz, block);
	return true;
}

/**
 * unmapped_zone_break_block() - let the free part of a used block be released
 * @uz: the zone.
 *
 * The partly used block with the largest free chunk becomes fragments. For the
 * case that the only other way is to kill a process.
 *
 * Context: Any context except NMI.
 * Return: true if there was such a block.
 */
bool unmapped_zone_break_block(struct unmapped_zone *uz)
{
	struct page *block;

	guard(spinlock_irqsave)(&uz->lock);
	block = partial_block_locked(uz);
	return block && break_block_locked(uz, block);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_zone_break_block);

/**
 * unmapped_zone_break_this() - let the free part of this block be released
 * @uz: its zone.
 * @block: first page of an area, perhaps no longer a block.
 *
 * Does nothing if there is no memory for it, which is left to the caller to
 * find out.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_break_this(struct unmapped_zone *uz, struct page *block)
{
	guard(spinlock_irqsave)(&uz->lock);
	/* What is free as a whole need not be broken. */
	if (unmapped_kind(block) == UNMAPPED_BLOCK &&
	    !(PageUnmappedFree(block) && page_private(block) == PMD_ORDER))
		break_block_locked(uz, block);
}

/* === Counting, checking ================================================== */

/**
 * unmapped_zone_nr_pcp() - how many pages are on the CPUs' lists?
 * @uz: the zone.
 *
 * Context: Any context.
 * Return: the number; others may have changed it meanwhile.
 */
unsigned long unmapped_zone_nr_pcp(const struct unmapped_zone *uz)
{
	unsigned long nr = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(per_cpu_ptr(uz->pcp, cpu)->count);
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_zone_nr_pcp);

/**
 * unmapped_zone_count() - add the pages of a zone to a sum
 * @uz: the zone.
 * @sum: the sum.
 *
 * Context: Any context except NMI.
 */
void unmapped_zone_count(struct unmapped_zone *uz, struct unmapped_count *sum)
{
	unsigned long nr_pcp;

	guard(spinlock_irqsave)(&uz->lock);
	/* A page on its way from one CPU's list to another's is seen twice. */
	nr_pcp = min(unmapped_zone_nr_pcp(uz), uz->count.used);
	sum->owned += uz->count.owned;
	sum->used += uz->count.used - nr_pcp;
	sum->cached += uz->count.cached + nr_pcp;
	sum->transit += uz->count.transit;
	sum->lost += uz->count.lost;
}

/**
 * unmapped_alloc_count() - add up the pages of a node by where they are
 * @nid: the node.
 * @sum: filled in.
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_count(int nid, struct unmapped_count *sum)
{
	int i;

	*sum = (struct unmapped_count){};
	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_zone_count(&unmapped_node(nid)->zones[i], sum);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_count);

static bool free_page_is_good(const struct page *page,
			      const struct unmapped_zone *uz)
{
	return !page_ref_count(page) && unmapped_kind(page) != UNMAPPED_NONE &&
	       unmapped_page_zone(page) == uz;
}

/* Walk one list; returns the pages on it, or ULONG_MAX if an entry is bad. */
static unsigned long check_list_locked(struct unmapped_zone *uz,
				       enum unmapped_kind kind,
				       unsigned int order)
{
	unsigned long nr = 0;
	struct page *page;

	lockdep_assert_held(&uz->lock);

	list_for_each_entry(page, &uz->free[kind][order], buddy_list) {
		if (!PageUnmappedFree(page) || page_private(page) != order ||
		    unmapped_kind(page) != kind || !free_page_is_good(page, uz))
			return ULONG_MAX;
		nr++;
	}
	return nr == uz->nr_free[kind][order] ? nr << order : ULONG_MAX;
}

static bool check_pcp(struct unmapped_zone *uz, struct unmapped_pcp *pcp)
{
	struct page *page;
	unsigned int nr = 0;

	guard(raw_spinlock_irqsave)(&pcp->lock);
	llist_for_each_entry(page, pcp->head, pcp_llist) {
		if (PageUnmappedFree(page) || !free_page_is_good(page, uz))
			return false;
		nr++;
	}
	return nr == pcp->count;
}

static bool check_zone(struct unmapped_zone *uz)
{
	struct unmapped_count *count = &uz->count;
	unsigned long nr, cached = 0;
	int kind, order, cpu;

	for_each_possible_cpu(cpu)
		if (!check_pcp(uz, per_cpu_ptr(uz->pcp, cpu)))
			return false;

	guard(spinlock_irqsave)(&uz->lock);
	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++) {
		for (order = 0; order <= PMD_ORDER; order++) {
			nr = check_list_locked(uz, kind, order);
			if (nr == ULONG_MAX)
				return false;
			cached += nr;
		}
	}
	return cached == count->cached &&
	       count->owned == count->used + count->cached + count->transit;
}

/**
 * unmapped_alloc_check() - do a node's lists and counters agree?
 * @nid: the node.
 *
 * Walks all free lists with interrupts off: for tests.
 *
 * Context: Any context except NMI.
 * Return: true if all is well.
 */
bool unmapped_alloc_check(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (!check_zone(&unmapped_node(nid)->zones[i]))
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_check);

/* === Boot ================================================================ */

/**
 * unmapped_zone_init() - make an empty cache
 * @uz: the zone, zeroed.
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_zone_init(struct unmapped_zone *uz)
{
	int kind, order, cpu;

	uz->pcp = alloc_percpu(struct unmapped_pcp);
	if (!uz->pcp)
		return -ENOMEM;

	for_each_possible_cpu(cpu)
		raw_spin_lock_init(&per_cpu_ptr(uz->pcp, cpu)->lock);

	spin_lock_init(&uz->lock);
	init_llist_head(&uz->deferred);
	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++)
		for (order = 0; order <= PMD_ORDER; order++)
			INIT_LIST_HEAD(&uz->free[kind][order]);
	return 0;
}

/**
 * unmapped_zone_exit() - undo unmapped_zone_init()
 * @uz: the zone, empty.
 */
void __init unmapped_zone_exit(struct unmapped_zone *uz)
{
	free_percpu(uz->pcp);
}
