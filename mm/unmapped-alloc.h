/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: declarations shared by its own files, its tests and
 * the rest of mm/. For the public interface, see <linux/unmapped_alloc.h>.
 */
#ifndef __MM_UNMAPPED_ALLOC_H
#define __MM_UNMAPPED_ALLOC_H

#include <linux/alloc_tag.h>
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/export.h>
#include <linux/folio_batch.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/page_reporting.h>
#include <linux/pageblock-flags.h>
#include <linux/percpu.h>
#include <linux/pgalloc_tag.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vmstat.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "page_reporting.h"

/* Kernel text in the ROX cache of execmem, shown in debugfs. */
enum unmapped_text {
	UNMAPPED_TEXT_BYTES,	/* absent from the direct map, ... */
	UNMAPPED_TEXT_FALLBACK,	/* ... and bytes that are not */
	UNMAPPED_TEXT_BLOCKS,	/* whole blocks among the former */
	UNMAPPED_NR_TEXT,
};

#ifdef CONFIG_UNMAPPED_ALLOC

#define UNMAPPED_NR_ORDERS	(PMD_ORDER + 1)
#define UNMAPPED_BLOCK_PAGES	(PMD_SIZE >> PAGE_SHIFT)

/* The zones that memory can come from: neither highmem nor movable. */
#define UNMAPPED_NR_ZONES	(ZONE_NORMAL + 1)

/**
 * enum unmapped_kind - what a page of the allocator is part of
 * @UNMAPPED_BLOCK: a PMD-size area that the allocator owns as a whole.
 * @UNMAPPED_FRAGMENT: a smaller area; the memory around it has other owners.
 * @UNMAPPED_NR_KINDS: the number of kinds.
 * @UNMAPPED_NONE: the page does not belong to the allocator.
 */
enum unmapped_kind {
	UNMAPPED_BLOCK,
	UNMAPPED_FRAGMENT,
	UNMAPPED_NR_KINDS,
	UNMAPPED_NONE = UNMAPPED_NR_KINDS,
};

/* What can be given back: whole blocks, fragments. */
#define UNMAPPED_BLOCKS		BIT(UNMAPPED_BLOCK)
#define UNMAPPED_FRAGMENTS	BIT(UNMAPPED_FRAGMENT)

/**
 * struct unmapped_count - number of pages of a zone, by state
 * @owned: pages taken from the page allocator and not given back.
 * @used: pages handed out. In struct unmapped_zone, they include the pages on
 *	the per-CPU lists, which are added and removed without the zone's lock.
 * @cached: free pages, on the zone's lists and on the per-CPU lists.
 * @transit: pages taken off the free lists to be returned to the page
 *	allocator, or while they are reported to the hypervisor.
 * @lost: pages no longer owned that could not be given back: poisoned pages,
 *	and pages whose direct map entry could not be restored.
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

/*
 * page->private of a free chunk's first page: its order, whether it is on a
 * fragment list, and whether all of it is zero. A chunk without UNMAPPED_ZEROED
 * has pages with the contents that they had in the page allocator, and possibly
 * zeroed pages: a page that was ever handed out is zero while it is free, or
 * was overwritten by its owner, see unmapped_block_free().
 *
 * The hypervisor was told that a chunk with UNMAPPED_REPORTED is free, so that
 * the contents are undefined. Such a chunk is never UNMAPPED_ZEROED.
 */
#define UNMAPPED_ORDER_MASK	0xffUL
#define UNMAPPED_ON_FRAGMENTS	BIT(8)
#define UNMAPPED_ZEROED		BIT(9)
#ifdef CONFIG_UNMAPPED_REPORTING
#define UNMAPPED_REPORTED	BIT(10)
#else
#define UNMAPPED_REPORTED	0UL
#endif
#define UNMAPPED_STATE		(UNMAPPED_ZEROED | UNMAPPED_REPORTED)

/* page->private of a page that was lost to memory failure. */
#define UNMAPPED_LOST		BIT(11)

/*
 * Maximum number of pages that are cleared, merged or linked with interrupts
 * off or under a zone's lock. Longer operations are done in rounds. Freeing a
 * full folio_batch takes a single round.
 */
#define UNMAPPED_BATCH		FOLIO_BATCH_SIZE

/*
 * Number of pages on a per-CPU list that are cleared at a time, when the first
 * one is needed. Mapping them costs about as much as clearing half a page, and
 * the caller pays for clearing at most this many pages.
 */
#define UNMAPPED_CLEAR_AHEAD	8

/**
 * struct unmapped_pcp - per-CPU list of a zone's free order-0 pages
 */
struct unmapped_pcp {
	/**
	 * @lock: protects the fields below. Taken by the list's own CPU with
	 * interrupts off, and by other CPUs to drain the list, so it is rarely
	 * contended. No other lock nests inside.
	 */
	raw_spinlock_t lock;
	/** @count: number of pages on the list. */
	unsigned int count;
	/** @used: a page was put on the list since this was last looked at. */
	bool used;
	/**
	 * @head: linked by page->pcp_llist, most recently freed first.
	 * page->private is UNMAPPED_ZEROED, or 0 if the page must be cleared
	 * before it is handed out.
	 */
	struct llist_node *head;
};

/*
 * A per-CPU list takes this many pages from its zone at a time, and returns as
 * many when it holds twice that number; fewer if all lists of a zone could hold
 * more than this fraction (1/256) of its memory, but at least one. So however
 * small a zone is, its lists can hold a page for each CPU.
 */
#define UNMAPPED_PCP_BATCH	64
#define UNMAPPED_PCP_SHARE	256

/**
 * struct unmapped_zone - the cache of one zone of one node
 */
struct unmapped_zone {
	/** @nid: its node. */
	int nid;
	/**
	 * @lock: protects all fields except @nid, @pcp, and those that are said
	 * to be accessed without locks. Taken in any context
	 * except NMI, and therefore always with interrupts off. For the locks
	 * that nest inside, see the lock order in unmapped-alloc.c.
	 */
	spinlock_t lock;
	/**
	 * @free: free chunks by kind and order, most recently freed first. A
	 * chunk's first page has the page type PGTY_unmapped_free, is linked by
	 * page->buddy_list, and has its state in page->private, see
	 * UNMAPPED_ORDER_MASK.
	 *
	 * Invariant: a page that was ever handed out is zero while it is on a
	 * list, or was overwritten by its owner or by the hypervisor.
	 */
	struct list_head free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/**
	 * @nr_free: number of chunks on each list. Written under @lock, read
	 * without it where a stale value does no harm.
	 */
	unsigned long nr_free[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/** @nr_reported: those of @nr_free that have UNMAPPED_REPORTED. */
	unsigned long nr_reported[UNMAPPED_NR_KINDS][UNMAPPED_NR_ORDERS];
	/**
	 * @count: see struct unmapped_count. What is owned is counted in
	 * NR_NO_DIRECT_MAP of the node, too.
	 */
	struct unmapped_count count;
	/** @nr_taken: number of allocations from the lists. */
	unsigned long nr_taken;
	/**
	 * @nr_idle: minimum number of whole free blocks since the node's idle
	 * work last ran: these blocks were not needed in that time.
	 */
	unsigned long nr_idle;
	/** @nr_taken_before: @nr_taken when the idle work last ran. */
	unsigned long nr_taken_before;
	/** @nr_taken_reported: @nr_taken when chunks were last reported. */
	unsigned long nr_taken_reported;
	/** @pcp_batch: at most UNMAPPED_PCP_BATCH, at least 1. Accessed without locks. */
	unsigned int pcp_batch;
	/**
	 * @skip_search: number of requests for this or lower zones of the node
	 * that still skip the search for a chunk larger than a page. Like
	 * @defer_shift and @searched accessed without locks.
	 */
	unsigned int skip_search;
	/** @defer_shift: 2^@defer_shift - 1 requests skip it, 0 if one was found. */
	unsigned int defer_shift;
	/** @searched: when it was looked for, in jiffies. */
	unsigned long searched;
	/** @pcp: the per-CPU lists. */
	struct unmapped_pcp __percpu *pcp;
} ____cacheline_internodealigned_in_smp;

/**
 * struct unmapped_node - the caches of one node
 */
struct unmapped_node {
	/** @nid: its number. */
	int nid;
	/**
	 * @refill_lock: held while blocks are taken from the page allocator, so
	 * that concurrent callers that find the cache empty share one refill.
	 * No memory is reclaimed while it is held, and waiters can be killed.
	 * Protects @refilled, @gave_back and @released.
	 */
	struct mutex refill_lock;
	/** @refilled: when blocks were last taken, in jiffies. */
	unsigned long refilled;
	/** @gave_back: idle memory was given back, and none was needed since. */
	bool gave_back;
	/** @released: when that was, in jiffies. */
	unsigned long released;
	/**
	 * @idle_period: how long memory must be idle before it is given back, in
	 * jiffies. Longer if it was needed again soon after that. Written under
	 * @refill_lock, read without it.
	 */
	unsigned long idle_period;
	/**
	 * @batch: number of blocks that the background refill takes. Adapts to
	 * demand: doubled when one refill follows soon after another, reset to
	 * one after a while without refills. Written under @refill_lock, read
	 * without it.
	 */
	unsigned int batch;
	/** @refill_work: refills the cache before it is empty. */
	struct work_struct refill_work;
	/** @idle_work: gives back memory that is idle. */
	struct delayed_work idle_work;
	/** @isolated_work: gives back what was freed of isolated pageblocks. */
	struct work_struct isolated_work;
	/**
	 * @drain_lock: held while all free memory is given back. A caller that
	 * finds nothing left thus knows that @isolated_work holds no chunks
	 * either. Reclaim never takes it, so page tables may be allocated while it
	 * is held, but not by I/O.
	 */
	struct mutex drain_lock;
	/**
	 * @report_wait: for the end of a report. Its lock protects @reporting and
	 * @nr_report_pauses.
	 */
	wait_queue_head_t report_wait;
	/** @reporting: chunks are in transit because they are being reported. */
	bool reporting;
	/** @report_start: start of the current or the last report, in jiffies. */
	unsigned long report_start;
	/** @nr_report_pauses: while not 0, no report begins. */
	unsigned int nr_report_pauses;
	/** @zones: the caches by zone. */
	struct unmapped_zone zones[UNMAPPED_NR_ZONES];
};

/* Blocks per flush: with 16, 1 GiB takes about 55 flushes. */
#define UNMAPPED_MAX_BLOCKS		16

/* How long blocks must be idle before they are given back: at first, at most. */
#define UNMAPPED_IDLE_PERIOD		(5UL * HZ)
#define UNMAPPED_IDLE_PERIOD_MAX	(320UL * HZ)

/* Pageblock bits that are set if the allocator owns pages of a pageblock. */
#define UNMAPPED_PAGEBLOCK_MASK \
	(BIT(PB_unmapped_block) | BIT(PB_unmapped_fragment))

/* Pages of an isolated pageblock are not handed out again. */
#ifdef CONFIG_MEMORY_ISOLATION
#define UNMAPPED_PAGEBLOCK_ISOLATED	BIT(PB_migrate_isolate)
#else
#define UNMAPPED_PAGEBLOCK_ISOLATED	0
#endif

/* For consumers that can be modules, and for the tests. */
#define EXPORT_SYMBOL_FOR_CONSUMERS(symbol)				\
	EXPORT_SYMBOL_FOR_MODULES(symbol,				\
		"kvm,execmem_kunit,dma_unmapped_kunit,"		\
		"unmapped_alloc_kunit,unmapped_alloc_torture")

/* Everything below is for the allocator's own files and its tests. */

extern struct unmapped_node *unmapped_nodes[MAX_NUMNODES];

static inline struct unmapped_node *unmapped_node(int nid)
{
	return unmapped_nodes[nid];
}

static inline struct unmapped_zone *unmapped_page_zone(const struct page *page)
{
	return &unmapped_node(page_to_nid(page))->zones[page_zonenum(page)];
}

static inline bool unmapped_page_zeroed(const struct page *page)
{
	return page_private(page) & UNMAPPED_ZEROED;
}

/*
 * page->private of a page in use that may be in a hibernation image; of the first
 * page of a compound page.
 */
#define UNMAPPED_IMAGE_ALLOWED	0x696d6167UL

extern atomic_long_t unmapped_nr_image_allowed;

extern atomic_long_t unmapped_text[UNMAPPED_NR_TEXT];

static inline void unmapped_text_add(enum unmapped_text what, long nr)
{
	atomic_long_add(nr, &unmapped_text[what]);
}

static inline long unmapped_text_count(enum unmapped_text what)
{
	return atomic_long_read(&unmapped_text[what]);
}

/*
 * There are chunks to report, if a device can do that. A chunk that comes back
 * from a report that failed must not request the next one; what else is missed
 * then is found by the idle work. Any context except NMI.
 */
static inline void unmapped_report_notify(const struct unmapped_node *node)
{
#ifdef CONFIG_UNMAPPED_REPORTING
	if (static_branch_unlikely(&page_reporting_enabled) &&
	    !READ_ONCE(node->reporting))
		page_reporting_notify_unmapped();
#endif
}

/* Queue the idle work of a node that has memory. Any context except NMI. */
static inline void unmapped_idle_wake(struct unmapped_node *node)
{
	queue_delayed_work(system_dfl_wq, &node->idle_work,
			   READ_ONCE(node->idle_period));
}

/* Queue the work for isolated pageblocks. Any context except NMI. */
static inline void unmapped_isolated_wake(struct unmapped_node *node)
{
	queue_work(system_dfl_wq, &node->isolated_work);
}

/* Only for people to read; further consumers are counted with the last. */
#define UNMAPPED_MAX_CONSUMERS	4

/**
 * struct unmapped_consumer - a kind of user of unmapped pages
 * @name: name of the file system, because all pages of user space are in files.
 * @nr_pages: number of pages that it uses.
 */
struct unmapped_consumer {
	char name[16];
	unsigned long nr_pages;
};

/*
 * Functions of each file only call those of files further down this list. On top
 * of it are unmapped-image.c, -vmap.c and -truncate.c, which no other one calls.
 * From the rest of mm, page_alloc.c only calls unmapped_alloc_catch(),
 * unmapped_alloc_free_batch() and unmapped_alloc_release_range(), vmscan.c
 * unmapped_alloc_reclaim() and unmapped_alloc_reclaimable(), show_mem.c the
 * latter and unmapped_alloc_show_mem(), page_reporting.c unmapped_alloc_report(),
 * execmem-unmapped.c unmapped_refill_split() and unmapped_text_add().
 */

/* unmapped-alloc.c: allocation, free, boot */
void unmapped_alloc_catch(struct page *page, unsigned int order,
			  unsigned long pageblock_flags, bool nolock,
			  struct llist_node **batch);
void unmapped_alloc_free_batch(struct llist_node *batch);

/* unmapped-isolate.c: memory that is isolated, and goes offline */
void unmapped_alloc_release_range(unsigned long start, unsigned long end);
void unmapped_isolate_init(void);
void unmapped_isolate_init_node(struct unmapped_node *node);

/* unmapped-show.c: debugfs, show_mem(), self-checks */
void unmapped_count_consumers(struct unmapped_consumer *consumers,
			      bool (*skip)(const struct page *page));
void unmapped_alloc_show_mem(const nodemask_t *nodemask);
void unmapped_alloc_count(int nid, struct unmapped_count *sum);
bool unmapped_alloc_check(int nid);

/* unmapped-release.c: giving memory back to the page allocator */
int unmapped_release_init(void);
void unmapped_release_init_node(struct unmapped_node *node);
unsigned long unmapped_release_zone(struct unmapped_zone *uz,
				    unsigned long nr_pages, unsigned int kinds);
unsigned long unmapped_alloc_drain(int nid);
unsigned long unmapped_alloc_reclaimable(const struct zone *zone);
void unmapped_alloc_reclaim(int nid, enum zone_type highest_zone,
			    unsigned long nr_pages, bool split, int priority);

/* unmapped-split.c: free memory where the direct map is split already */
unsigned long unmapped_refill_split(gfp_t gfp, unsigned long nr_pages);

/* unmapped-refill.c: taking memory from the page allocator */
void unmapped_refill_init(struct unmapped_node *node);
gfp_t unmapped_source_gfp(gfp_t gfp);
gfp_t unmapped_no_reclaim_gfp(gfp_t gfp);
bool unmapped_refill_can_spare(struct zone *zone, int order,
			       enum zone_watermarks wmark, gfp_t gfp);
int unmapped_refill_spare(gfp_t gfp, int nid, nodemask_t *nodemask,
			  unsigned int min, unsigned int max);
struct page *unmapped_refill_blocks(struct unmapped_node *node, gfp_t gfp,
				    int order, nodemask_t *nodemask,
				    unsigned int nr);
struct page *unmapped_refill_fragment(gfp_t gfp, unsigned int from,
				      unsigned int order, int nid,
				      nodemask_t *nodemask);
unsigned long unmapped_refill_given(struct page **pages,
				    const unsigned char *orders,
				    unsigned int nr, gfp_t gfp);
void unmapped_refill_wake(struct unmapped_node *node);
bool unmapped_refill_running(void);

/* unmapped-demand.c: how much memory to have ready */
void unmapped_demand_init(struct unmapped_node *node);
unsigned int unmapped_demand_next(struct unmapped_node *node);
void unmapped_demand_reset(struct unmapped_node *node);
unsigned long unmapped_demand_low_water(const struct unmapped_node *node);
unsigned long unmapped_demand_reserve(const struct unmapped_node *node);
void unmapped_demand_idle(struct unmapped_node *node, unsigned long nr_pages);

/* unmapped-report.c: free memory that is reported to the hypervisor */
#ifdef CONFIG_UNMAPPED_REPORTING
void unmapped_report_init_node(struct unmapped_node *node);
void unmapped_report_wake(struct unmapped_node *node);
bool unmapped_report_running(struct unmapped_node *node);
void unmapped_report_pause(struct unmapped_node *node);
void unmapped_report_pause_for(struct unmapped_node *node, long limit);
void unmapped_report_resume(struct unmapped_node *node);
#else
static inline void unmapped_report_init_node(struct unmapped_node *node)
{
}

static inline void unmapped_report_wake(struct unmapped_node *node)
{
}

static inline bool unmapped_report_running(struct unmapped_node *node)
{
	return false;
}

static inline void unmapped_report_pause(struct unmapped_node *node)
{
}

static inline void unmapped_report_pause_for(struct unmapped_node *node,
					     long limit)
{
}

static inline void unmapped_report_resume(struct unmapped_node *node)
{
}
#endif

/* unmapped-pcp.c: the per-CPU lists */
struct page *unmapped_pcp_take_slow(struct unmapped_zone *uz);
void unmapped_pcp_put(struct unmapped_zone *uz, struct page *page);
struct llist_node *unmapped_pcp_put_run(struct llist_node *list);
void unmapped_pcp_drain_cpu(struct unmapped_zone *uz, unsigned int cpu);
void unmapped_pcp_drain(struct unmapped_zone *uz);
bool unmapped_pcp_drain_unused(struct unmapped_zone *uz);
void unmapped_pcp_update(struct unmapped_zone *uz, const struct zone *zone);
unsigned long unmapped_pcp_count(const struct unmapped_zone *uz);
int unmapped_pcp_init(struct unmapped_zone *uz);
void unmapped_pcp_exit(struct unmapped_zone *uz);

/* unmapped-zone.c: the free lists */
void unmapped_zone_init(struct unmapped_zone *uz, int nid);
void unmapped_zone_insert(struct unmapped_zone *uz, struct page *page,
			  unsigned int from, int order, bool zeroed);
void unmapped_zone_lose(struct unmapped_zone *uz, unsigned int order);
void unmapped_zone_lose_page(struct unmapped_zone *uz, struct page *page);
struct page *unmapped_zone_take(struct unmapped_zone *uz, unsigned int order);
unsigned int unmapped_zone_take_bulk(struct unmapped_zone *uz, unsigned int nr,
				     struct llist_node **list,
				     struct llist_node **last);
void unmapped_zone_put(struct unmapped_zone *uz, struct page *page,
		       unsigned int order);
void unmapped_zone_put_bulk(struct unmapped_zone *uz, struct llist_node *list);
struct page *unmapped_zone_detach(struct unmapped_zone *uz, unsigned int kinds,
				  unsigned int *order, bool *zeroed);
void unmapped_zone_reattach(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, bool zeroed);
void unmapped_zone_release(struct unmapped_zone *uz, unsigned int order);
#ifdef CONFIG_UNMAPPED_REPORTING
struct page *unmapped_zone_detach_unreported(struct unmapped_zone *uz,
					     unsigned int min,
					     unsigned int *order, bool *zeroed);
void unmapped_zone_put_reported(struct unmapped_zone *uz, struct page *page,
				unsigned int order, bool reported);
unsigned long unmapped_zone_nr_reported(const struct unmapped_zone *uz);
#endif
bool unmapped_zone_break_block(struct unmapped_zone *uz, unsigned int min);
void unmapped_zone_break_this(struct unmapped_zone *uz, struct page *page);
void unmapped_zone_sync(struct unmapped_zone *uz);

/* unmapped-clear.c: clearing pages through a mapping private to the CPU */
int unmapped_clear_init(void);
int unmapped_clear_prepare(bool wait);
void unmapped_clear_pages(struct page *const *pages, unsigned int nr);
bool unmapped_clear_range(struct page *page, unsigned long nr_pages);
bool unmapped_clear_chunk(struct page *page, unsigned int order);
void unmapped_clear_list(struct llist_node *list);
void unmapped_page_copy(struct page *page, void *buf, bool write);

/* unmapped-direct-map.c: changing the direct map */
int unmapped_direct_map_remove(struct page *page, unsigned int order);
int unmapped_direct_map_restore(struct page *page, unsigned int order);
void unmapped_direct_map_flush(void);
void unmapped_direct_map_collapse(struct page **pages, unsigned int nr);

/* unmapped-owner.c: which pages the allocator owns */
enum unmapped_kind unmapped_kind(const struct page *page);
int unmapped_own(struct page *page, unsigned int order, gfp_t gfp, bool *first);
void unmapped_disown(struct page *page, unsigned int order);
void unmapped_fragments_to_block(struct page *page);
int unmapped_block_to_fragments(struct page *page);
void unmapped_forget(struct page *page);
int unmapped_owner_init(void);

/* unmapped-tag.c: accounting of the pages in the cache */
void unmapped_check_out(struct page *page, unsigned int order);
void unmapped_check_in(struct page *page, unsigned int order);

extern atomic_long_t unmapped_vmap_drops, unmapped_vmap_flushes;

#if IS_ENABLED(CONFIG_KUNIT)
/* Functions that the tests replace with stubs, or call directly. */
int unmapped_set_direct_map(struct page *page, unsigned int nr, bool valid);
void unmapped_alloc_sync_deferred(void);
struct irq_work;
void unmapped_queue_deferred(struct irq_work *work);
void unmapped_put_deferred_of(unsigned int cpu);
bool unmapped_collapse_now(struct page **pages, unsigned int nr);
void unmapped_collapse_region(unsigned long pfn);
void unmapped_collapse_noted(void);
void unmapped_collapse_queue(void);
void unmapped_collapse_wait(void);
struct page *unmapped_source_alloc(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask);
unsigned long unmapped_nr_page_cache(int nid);
int unmapped_refill_order(struct zone *zone, int min, int max);
void unmapped_refill_calm(struct unmapped_node *node);
unsigned long unmapped_move_chunks(struct unmapped_zone *uz, unsigned long pfn,
				   unsigned long i);
int unmapped_memory_callback(struct notifier_block *nb, unsigned long action,
			     void *data);
/* How the tests access pages, and search for mappings of them. */
bool unmapped_clear_area(unsigned long *start, unsigned long *end,
			 unsigned int cpu, struct mm_struct **mm);
bool unmapped_clear_area_empty(unsigned int cpu);
void unmapped_vmap_flush_work(void);
unsigned long unmapped_count_mappings(bool direct_map, unsigned long *nr_seen);
#endif

/* === Inlined on the hot path ============================================= */

#ifdef CONFIG_MEM_ALLOC_PROFILING
struct alloc_tag *unmapped_cache(void);
void unmapped_tag_enter(struct page *page, unsigned int order);
void __unmapped_tag_used(struct page *page, unsigned int order);
void __unmapped_tag_free(struct page *page, unsigned int order);
void __unmapped_tag_free_page(struct page *page);
void __unmapped_tag_lose(struct page *page, unsigned int order);

/* While profiling is off: uncharge what was charged before. */
static __always_inline void unmapped_tag_off(struct page *page,
					     unsigned int order)
{
	if (static_branch_unlikely(&mem_profiling_switched))
		__unmapped_tag_lose(page, order);
}

/* Pages from the cache are handed out: charge the current tag. */
static __always_inline void unmapped_tag_used(struct page *page,
					      unsigned int order)
{
	if (!mem_alloc_profiling_enabled())
		unmapped_tag_off(page, order);
	else if (order)
		__unmapped_tag_used(page, order);
	else
		pgalloc_tag_move(page, 1, current->alloc_tag, 1);
}

/* Pages come back: charge the cache. */
static __always_inline void unmapped_tag_free(struct page *page,
					      unsigned int order)
{
	if (!mem_alloc_profiling_enabled())
		unmapped_tag_off(page, order);
	else if (order)
		__unmapped_tag_free(page, order);
	else
		__unmapped_tag_free_page(page);
}

/* Pages are lost: charge nothing. */
static inline void unmapped_tag_lose(struct page *page, unsigned int order)
{
	if (mem_alloc_profiling_enabled())
		__unmapped_tag_lose(page, order);
	else
		unmapped_tag_off(page, order);
}
#else
static inline void unmapped_tag_enter(struct page *page, unsigned int order)
{
}

static inline void unmapped_tag_used(struct page *page, unsigned int order)
{
}

static inline void unmapped_tag_free(struct page *page, unsigned int order)
{
}

static inline void unmapped_tag_lose(struct page *page, unsigned int order)
{
}
#endif

/**
 * struct unmapped_fragments - which pages of a PMD-size area are fragments
 * @next: the next one in the same bucket. Constant, as @index is.
 * @index: number of the area, counted from page frame 0.
 * @owned: a bit for each page of the area.
 */
struct unmapped_fragments {
	struct unmapped_fragments *next;
	unsigned long index;
	DECLARE_BITMAP(owned, UNMAPPED_BLOCK_PAGES);
};

/* Hash table of areas that have, or had, fragments. Nothing is removed. */
extern struct unmapped_fragments **unmapped_fragments_table;
extern unsigned long unmapped_fragments_mask;

static __always_inline
struct unmapped_fragments *unmapped_find_fragments(unsigned long index)
{
	struct unmapped_fragments *fragments;

	/* Pairs with the release in insert_fragments(). */
	fragments = READ_ONCE(unmapped_fragments_table[index & unmapped_fragments_mask]);
	while (fragments && fragments->index != index)
		fragments = fragments->next;
	return fragments;
}

/*
 * Is this page part of a fragment? To be called after the flags of its pageblock
 * were read, which have PB_unmapped_fragment.
 */
static __always_inline bool unmapped_fragment(unsigned long pfn)
{
	struct unmapped_fragments *fragments;

	/* Pairs with the barrier in unmapped_block_to_fragments(). */
	smp_rmb();
	fragments = unmapped_find_fragments(pfn >> PMD_ORDER);
	return fragments && test_bit(pfn % UNMAPPED_BLOCK_PAGES, fragments->owned);
}

/*
 * Does the allocator own a page, given the flags of its pageblock, of which a
 * bit of UNMAPPED_PAGEBLOCK_MASK is set? Stable for a page that the caller owns,
 * or has taken off the free lists.
 */
static __always_inline bool unmapped_owned(unsigned long pfn,
					   unsigned long pageblock_flags)
{
	return (pageblock_flags & BIT(PB_unmapped_block)) ||
	       unmapped_fragment(pfn);
}

static __always_inline
struct unmapped_pcp *unmapped_pcp_lock(struct unmapped_zone *uz,
				       unsigned long *flags)
{
	struct unmapped_pcp *pcp;

	local_irq_save(*flags);
	pcp = this_cpu_ptr(uz->pcp);
	raw_spin_lock(&pcp->lock);
	return pcp;
}

static __always_inline
void unmapped_pcp_unlock(struct unmapped_pcp *pcp, unsigned long flags)
{
	raw_spin_unlock(&pcp->lock);
	local_irq_restore(flags);
}

/*
 * Take a cleared page, counted as used, off this CPU's list. Returns NULL if
 * the list is empty, or if its first page is poisoned or not cleared yet.
 */
static __always_inline struct page *unmapped_pcp_take(struct unmapped_zone *uz)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = unmapped_pcp_lock(uz, &flags);
	struct page *page = NULL;

	if (likely(pcp->head)) {
		page = llist_entry(pcp->head, struct page, pcp_llist);
		if (likely(unmapped_page_zeroed(page)) &&
		    likely(!PageHWPoison(page))) {
			pcp->head = pcp->head->next;
			WRITE_ONCE(pcp->count, pcp->count - 1);
		} else {
			page = NULL;
		}
	}
	unmapped_pcp_unlock(pcp, flags);
	return page;
}

/* Set before the allocator owns its first page, and never cleared again. */
extern bool unmapped_alloc_used;

static inline bool unmapped_alloc_is_used(void)
{
	return READ_ONCE(unmapped_alloc_used);
}

#else

static inline void unmapped_text_add(enum unmapped_text what, long nr)
{
}

static inline bool unmapped_alloc_is_used(void)
{
	return false;
}

static inline void unmapped_alloc_release_range(unsigned long start,
						unsigned long end)
{
}

static inline unsigned long unmapped_alloc_reclaimable(const struct zone *zone)
{
	return 0;
}

static inline void unmapped_alloc_reclaim(int nid, enum zone_type highest_zone,
					  unsigned long nr_pages, bool split,
					  int priority)
{
}

#endif /* CONFIG_UNMAPPED_ALLOC */

#ifdef CONFIG_UNMAPPED_REPORTING
int unmapped_alloc_report(struct page_reporting_dev_info *prdev,
			  struct scatterlist *sgl);
#else
static inline int unmapped_alloc_report(struct page_reporting_dev_info *prdev,
					struct scatterlist *sgl)
{
	return 0;
}
#endif

#endif /* __MM_UNMAPPED_ALLOC_H */
