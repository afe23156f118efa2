/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: what its own files, its tests and the page
 * allocator share. For the public interface see <linux/unmapped_alloc.h>.
 */
#ifndef __MM_UNMAPPED_ALLOC_H
#define __MM_UNMAPPED_ALLOC_H

#include <linux/cache.h>
#include <linux/irq_work.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#ifdef CONFIG_UNMAPPED_ALLOC

#define UNMAPPED_NR_ORDERS	(PMD_ORDER + 1)
#define UNMAPPED_BLOCK_PAGES	(PMD_SIZE >> PAGE_SHIFT)

/* The zones that memory can come from: it is neither highmem nor movable. */
#define UNMAPPED_NR_ZONES	(ZONE_NORMAL + 1)

/**
 * enum unmapped_kind - what a page of the allocator is part of
 * @UNMAPPED_BLOCK: a PMD-size area that the allocator owns as a whole.
 * @UNMAPPED_FRAGMENT: a smaller area; others use the memory around it.
 * @UNMAPPED_NR_KINDS: the number of kinds.
 * @UNMAPPED_NONE: nothing, the page is not one of the allocator's.
 */
enum unmapped_kind {
	UNMAPPED_BLOCK,
	UNMAPPED_FRAGMENT,
	UNMAPPED_NR_KINDS,
	UNMAPPED_NONE = UNMAPPED_NR_KINDS,
};

/* Things that happen seldom and that somebody wants to know the number of. */
enum unmapped_event {
	UNMAPPED_REFILL_BLOCK,
	UNMAPPED_REFILL_FRAGMENT,
	UNMAPPED_REFILL_FAIL,
	UNMAPPED_RELEASE_BLOCK,
	UNMAPPED_RELEASE_FRAGMENT,
	UNMAPPED_RELEASE_FAIL,
	UNMAPPED_TLB_FLUSH,
	UNMAPPED_AREA_SPLIT,
	UNMAPPED_NR_EVENTS,
};

/**
 * struct unmapped_count - the pages of a zone by where they are
 * @owned: pages that were taken from the page allocator and not given back.
 * @used: pages that are handed out.
 * @cached: pages on the free lists.
 * @transit: pages that left the free lists on their way to the page allocator.
 * @lost: pages that are no longer owned, but could not be given back either:
 *	poisoned ones, and those whose direct map entry could not be restored.
 *
 * Invariant: @owned == @used + @cached + @transit.
 */
struct unmapped_count {
	unsigned long owned;
	unsigned long used;
	unsigned long cached;
	unsigned long transit;
	unsigned long lost;
};

/**
 * struct unmapped_zone - the cache of one zone of one node
 */
struct unmapped_zone {
	/**
	 * @lock: protects all fields but @deferred. Taken from any context
	 * except NMI, therefore always with interrupts off. Only the xarray
	 * lock of the fragments nests inside.
	 */
	spinlock_t lock;
	/**
	 * @free: free pages by kind and order. A free chunk's first page has
	 * the page type PGTY_unmapped_free, its order in page->private and is
	 * linked by page->buddy_list. Most recently freed first.
	 *
	 * Invariant: the contents of every page on these lists are zero.
	 */
	struct list_head free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/**
	 * @nr_free: number of entries on each of the lists. Written under
	 * @lock, read without it by the shrinker, which can live with an old
	 * value.
	 */
	unsigned long nr_free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/** @count: see struct unmapped_count. */
	struct unmapped_count count;
	/**
	 * @deferred: pages freed where @lock can't be taken, until
	 * @deferred_work ran.
	 */
	struct llist_head deferred;
	/** @deferred_work: puts the pages on @deferred where they belong. */
	struct irq_work deferred_work;
} ____cacheline_internodealigned_in_smp;

/**
 * struct unmapped_node - the caches of one node
 */
struct unmapped_node {
	/**
	 * @refill_lock: held by whoever takes a block from the page allocator,
	 * so that concurrent callers on an empty cache wait for that block
	 * instead of each taking one. No direct reclaim that may enter a
	 * filesystem or start I/O runs under it: a caller waits for it with
	 * whatever locks it has.
	 */
	struct mutex refill_lock;
	/** @zones: the caches by zone. */
	struct unmapped_zone zones[UNMAPPED_NR_ZONES];
};

/*
 * Off until the first consumer announces itself: the page allocator's free
 * path pays for the allocator only from then on.
 */
DECLARE_STATIC_KEY_FALSE(unmapped_alloc_key);

/* Everything below is for the allocator's own files and its tests. */

bool unmapped_alloc_catch(struct page *page, unsigned int order, bool nolock);

struct unmapped_node *unmapped_node(int nid);
unsigned long unmapped_event_count(enum unmapped_event event);
unsigned long unmapped_alloc_drain(int nid);
void unmapped_alloc_count(int nid, struct unmapped_count *sum);
bool unmapped_alloc_check(int nid);

/* Points where a test puts itself between the allocator and the kernel. */
int unmapped_set_direct_map(struct page *page, unsigned int nr, bool valid);
struct page *unmapped_source_alloc(gfp_t gfp, unsigned int order, int nid);

/* unmapped-owner.c: which pages are the allocator's */
enum unmapped_kind unmapped_kind(const struct page *page);
int unmapped_own(struct page *page, unsigned int order, gfp_t gfp, bool *first);
void unmapped_disown(struct page *page, unsigned int order);
void unmapped_fragments_to_block(struct page *page);

/* unmapped-window.c: a mapping of one page for one CPU */
int unmapped_window_init(void);
void *unmapped_window_map(struct page *page);
void unmapped_window_unmap(void);
void unmapped_clear_page(struct page *page);

#endif /* CONFIG_UNMAPPED_ALLOC */

#endif /* __MM_UNMAPPED_ALLOC_H */
