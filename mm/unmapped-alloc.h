/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: what its own files, its tests and the page
 * allocator share. For the public interface see <linux/unmapped_alloc.h>.
 */
#ifndef __MM_UNMAPPED_ALLOC_H
#define __MM_UNMAPPED_ALLOC_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/export.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/pageblock-flags.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#ifdef CONFIG_UNMAPPED_ALLOC

#define UNMAPPED_NR_ORDERS	(PMD_ORDER + 1)
#define UNMAPPED_BLOCK_PAGES	(PMD_SIZE >> PAGE_SHIFT)

/* The zones that memory can come from: it is neither highmem nor movable. */
#define UNMAPPED_NR_ZONES	(ZONE_NORMAL + 1)

/**
 * enum unmapped_kind - what a page of the allocator is part of
 * @UNMAPPED_BLOCK: a PMD-size area that the allocator owns as a whole.
 * @UNMAPPED_FRAGMENT: a smaller area; others use the memory around it.
 * @UNMAPPED_NOZERO: a block for those who don't want their pages cleared.
 * @UNMAPPED_NR_KINDS: the number of kinds.
 * @UNMAPPED_NONE: nothing, the page is not one of the allocator's.
 */
enum unmapped_kind {
	UNMAPPED_BLOCK,
	UNMAPPED_FRAGMENT,
	UNMAPPED_NOZERO,
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
 * @used: pages that are handed out. In struct unmapped_zone, the pages on the
 *	CPUs' lists are among them: they come and go without its lock.
 * @cached: pages on the free lists, and on the CPUs' lists.
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
 * struct unmapped_pcp - free single pages of a zone at the hand of one CPU
 */
struct unmapped_pcp {
	/**
	 * @lock: protects the fields below. Taken by the list's own CPU, with
	 * interrupts off, and by whoever drains the lists, hence next to never
	 * contended. Nothing nests inside.
	 */
	raw_spinlock_t lock;
	/** @count: number of pages on the list. */
	unsigned int count;
	/**
	 * @head: linked by page->pcp_llist. Most recently freed first.
	 *
	 * Invariant: the contents of every page on the list are zero.
	 */
	struct llist_node *head;
};

/*
 * A CPU's list is filled from its zone's lists, or relieved of the surplus, by
 * this many pages at a time; it is relieved when it has twice as many.
 */
#define UNMAPPED_PCP_BATCH	64

/**
 * struct unmapped_zone - the cache of one zone of one node
 */
struct unmapped_zone {
	/**
	 * @lock: protects all fields but @pcp and @deferred. Taken from any
	 * context except NMI, therefore always with interrupts off. For what
	 * nests inside see the top of unmapped-alloc.c.
	 */
	spinlock_t lock;
	/**
	 * @free: free pages by kind and order. A free chunk's first page has
	 * the page type PGTY_unmapped_free, its order in page->private and is
	 * linked by page->buddy_list. Most recently freed first.
	 *
	 * Invariant: the contents of every page on these lists are zero, except
	 * on those of UNMAPPED_NOZERO.
	 */
	struct list_head free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/**
	 * @nr_free: number of entries on each of the lists. Written under
	 * @lock, read without it where an old value does no harm.
	 */
	unsigned long nr_free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/** @count: see struct unmapped_count. */
	struct unmapped_count count;
	/** @nr_taken: how often something was taken, or asked for in vain. */
	unsigned long nr_taken;
	/**
	 * @nr_idle: whole blocks that nobody took since the node's idle work
	 * ran last: the least that there were since then.
	 */
	unsigned long nr_idle;
	/** @nr_taken_before: @nr_taken when the idle work ran last. */
	unsigned long nr_taken_before;
	/** @pcp: the CPUs' lists. */
	struct unmapped_pcp __percpu *pcp;
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
	/** @nid: its number. */
	int nid;
	/**
	 * @refill_lock: held by whoever takes blocks from the page allocator,
	 * so that concurrent callers on an empty cache wait for them instead
	 * of each taking some. No direct reclaim that may enter a filesystem
	 * or start I/O runs under it: a caller waits for it with whatever
	 * locks it has. Protects @refilled.
	 */
	struct mutex refill_lock;
	/** @refilled: when blocks were taken last, in jiffies. */
	unsigned long refilled;
	/**
	 * @batch: how many blocks a refill takes. Follows the demand: doubled
	 * by a refill that comes soon after another, one when there was none
	 * for a while. Written under @refill_lock, read anywhere.
	 */
	unsigned int batch;
	/** @refill_work: refills before the cache is empty. */
	struct work_struct refill_work;
	/** @idle_work: gives back what nobody asks for. */
	struct delayed_work idle_work;
	/** @zones: the caches by zone. */
	struct unmapped_zone zones[UNMAPPED_NR_ZONES];
};

/* The bits of a pageblock that are set when pages of it are the allocator's. */
#define UNMAPPED_PAGEBLOCK_MASK \
	(BIT(PB_unmapped_block) | BIT(PB_unmapped_fragment))

/* Consumers that can be modules; the tests need the same. */
#define EXPORT_SYMBOL_FOR_CONSUMERS(symbol)				\
	EXPORT_SYMBOL_FOR_MODULES(symbol,				\
		"kvm,unmapped_alloc_kunit,unmapped_alloc_torture")

/* Everything below is for the allocator's own files and its tests. */

extern struct unmapped_node *unmapped_nodes[MAX_NUMNODES];

static inline struct unmapped_node *unmapped_node(int nid)
{
	return unmapped_nodes[nid];
}

extern atomic_long_t unmapped_events[UNMAPPED_NR_EVENTS];

static inline void unmapped_count_event(enum unmapped_event event)
{
	atomic_long_inc(&unmapped_events[event]);
}

static inline unsigned long unmapped_event_count(enum unmapped_event event)
{
	return atomic_long_read(&unmapped_events[event]);
}

/* unmapped-alloc.c: handing out and taking back */
bool unmapped_alloc_catch(struct page *page, unsigned int order,
			  unsigned long pageblock_flags, bool nolock);
void unmapped_drain_pcp(struct unmapped_zone *uz);
void unmapped_check_out(struct page *page, unsigned int order);
void unmapped_check_in(struct page *page, unsigned int order);

/* unmapped-zone.c: the free lists */
int unmapped_zone_init(struct unmapped_zone *uz);
void unmapped_zone_exit(struct unmapped_zone *uz);
void unmapped_zone_insert(struct unmapped_zone *uz, struct page *page,
			  unsigned int from, int order);
void unmapped_zone_lose(struct unmapped_zone *uz, unsigned int order);
struct page *unmapped_zone_take(struct unmapped_zone *uz, unsigned int order,
				bool nozero);
unsigned int unmapped_zone_take_bulk(struct unmapped_zone *uz, unsigned int nr,
				     struct llist_node **list,
				     struct llist_node **last);
void unmapped_zone_put(struct unmapped_zone *uz, struct page *page,
		       unsigned int order);
void unmapped_zone_put_bulk(struct unmapped_zone *uz, struct llist_node *list);
struct page *unmapped_zone_isolate(struct unmapped_zone *uz, bool all,
				   unsigned int *order);
void unmapped_zone_unisolate(struct unmapped_zone *uz, struct page *page,
			     unsigned int order, bool lost);
void unmapped_zone_release(struct unmapped_zone *uz, unsigned int order);
bool unmapped_zone_break_block(struct unmapped_zone *uz);
void unmapped_zone_break_this(struct unmapped_zone *uz, struct page *block);
unsigned long unmapped_zone_nr_pcp(const struct unmapped_zone *uz);
void unmapped_zone_count(struct unmapped_zone *uz, struct unmapped_count *sum);
void unmapped_alloc_count(int nid, struct unmapped_count *sum);
bool unmapped_alloc_check(int nid);

/* unmapped-map.c: the direct map */
int unmapped_map_remove(struct page *page, unsigned int order);
int unmapped_map_restore(struct page *page, unsigned int order);
void unmapped_map_flush(struct page **pages, unsigned int nr,
			unsigned int order);
void unmapped_map_collapse(struct page **pages, unsigned int nr);

/* unmapped-refill.c: from the page allocator */
void unmapped_refill_init(struct unmapped_node *node);
gfp_t unmapped_source_gfp(gfp_t gfp);
struct page *unmapped_refill_node(struct unmapped_node *node, gfp_t gfp,
				  int order, nodemask_t *nodemask,
				  unsigned long nr_pages, bool nozero);
struct page *unmapped_refill_fragment(gfp_t gfp, unsigned int from,
				      unsigned int order, int nid,
				      nodemask_t *nodemask);
gfp_t unmapped_opportunistic_gfp(gfp_t gfp);
void unmapped_refill_wake(struct unmapped_node *node);
void unmapped_refill_stop(bool stop);

/* unmapped-release.c: back to the page allocator */
int unmapped_release_init(void);
void unmapped_release_init_node(struct unmapped_node *node);
unsigned long unmapped_alloc_drain(int nid);
void unmapped_release_wake(struct unmapped_node *node);

/* unmapped-show.c: what it tells about itself */
void unmapped_alloc_show_mem(void);

/* unmapped-owner.c: which pages are the allocator's */
enum unmapped_kind unmapped_kind(const struct page *page);
bool unmapped_fragment(const struct page *page);
int unmapped_own(struct page *page, unsigned int order, gfp_t gfp, bool *first);
void unmapped_disown(struct page *page, unsigned int order);
void unmapped_fragments_to_block(struct page *page);
int unmapped_block_to_fragments(struct page *page);
void unmapped_block_to_nozero(struct page *page);
void unmapped_forget_area(struct page *page);

/* unmapped-window.c: a mapping of one page for one CPU */
int unmapped_window_init(void);
void unmapped_clear_page(struct page *page);

#if IS_ENABLED(CONFIG_KUNIT)
/* Points where a test puts itself between the allocator and the kernel. */
int unmapped_set_direct_map(struct page *page, unsigned int nr, bool valid);
void unmapped_direct_map_collapse(struct page **pages, unsigned int nr);
void unmapped_map_collapse_wait(void);
struct page *unmapped_source_alloc(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask);
unsigned int unmapped_refill_demand(struct unmapped_node *node);
int unmapped_prepare_for_image(struct notifier_block *nb, unsigned long action,
			       void *data);
int unmapped_memory_callback(struct notifier_block *nb, unsigned long action,
			     void *data);
#endif

/* What is a page to the allocator, given the flags of its pageblock? */
static inline enum unmapped_kind
unmapped_kind_flags(const struct page *page, unsigned long pageblock_flags)
{
	if (likely(pageblock_flags & BIT(PB_unmapped_block)))
		return unlikely(pageblock_flags & BIT(PB_unmapped_nozero)) ?
		       UNMAPPED_NOZERO : UNMAPPED_BLOCK;
	if ((pageblock_flags & BIT(PB_unmapped_fragment)) &&
	    unmapped_fragment(page))
		return UNMAPPED_FRAGMENT;
	return UNMAPPED_NONE;
}

static inline struct unmapped_zone *unmapped_page_zone(const struct page *page)
{
	return &unmapped_node(page_to_nid(page))->zones[page_zonenum(page)];
}

/* Set before any page is the allocator's, and for good. */
extern bool unmapped_alloc_used;

static inline bool unmapped_alloc_is_used(void)
{
	return READ_ONCE(unmapped_alloc_used);
}

#else

static inline bool unmapped_alloc_is_used(void)
{
	return false;
}

#endif /* CONFIG_UNMAPPED_ALLOC */

#endif /* __MM_UNMAPPED_ALLOC_H */
