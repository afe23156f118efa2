// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 */

/**
 * DOC: unmapped page allocator
 *
 * Some memory must not be accessible through the kernel's direct map: user
 * space secrets, the memory of a VM, kernel text. Removing such pages one at a
 * time splits the direct map's large entries for good and costs a TLB flush on
 * every CPU each time. This allocator sits on top of the page allocator, takes
 * whole PMD-size blocks from it, removes several of them with a single flush,
 * and hands out pages of them. Pages are cleared when they are handed out for
 * the first time, and when they are freed. Freed pages stay unmapped in the
 * cache; when memory is short or they are not needed, whole blocks are given
 * back, mapped by one large entry as before.
 *
 * Not provided: memory that can be migrated or swapped; support for
 * architectures whose direct map can't be changed, see
 * ARCH_SUPPORTS_UNMAPPED_ALLOC; protection from accesses that do not use the
 * direct map, such as those of devices or through the owner's mappings.
 *
 * States of an owned page:
 *
 * - used: handed out. All of struct page belongs to the consumer. No matter how
 *   the last reference is dropped, __free_pages_prepare() returns the page to
 *   the allocator.
 * - cached: free, on a per-CPU list or part of a chunk on one of its zone's
 *   free lists. A page that was ever handed out is zero, unless its owner
 *   overwrote it after that, or it was reported to the hypervisor.
 * - in transit: taken off the lists to be given back, or while it is reported to
 *   the hypervisor.
 * - lost: has a hardware error, or could not be mapped again. No longer owned.
 *
 * When pages are cleared: before the call that drops the last reference
 * returns. There are three exceptions. free_pages_nolock() leaves the page to an
 * irq_work, which runs as soon as interrupts are enabled on this CPU, so before
 * anything else but a caller with interrupts off uses the allocator on it; on
 * PREEMPT_RT, a thread runs it. release_pages() and the like clear a batch of
 * folios once they have processed all of it. unmapped_block_free() is for owners
 * that have overwritten the block themselves. But for these, no page is free
 * before it is cleared.
 *
 * Lock order:
 *
 * 1. unmapped_node::refill_lock, a mutex held while blocks are taken
 * 2. unmapped_zone::lock, interrupts off
 * 3. unmapped_fragments_lock in unmapped-owner.c, interrupts off
 *
 * Under 2, locks of the slab and page allocators are taken for the bitmap that
 * is allocated when a block is split up (GFP_NOWAIT), and those of a workqueue.
 *
 * These nest neither with locks 2 and 3 nor with each other, except that reclaim
 * may take the first while clear_mutex is held:
 *
 * - unmapped_pcp::lock, interrupts off, also taken under 1; pages are cleared
 *   under it
 * - the lock of unmapped_node::report_wait
 * - clear_mutex in unmapped-clear.c, held while mms are allocated (GFP_NOIO);
 *   taken by a work item and by CPU hotplug
 * - maps_lock in unmapped-vmap.c, with interrupts on, because it is only taken
 *   in process context; no other lock nests inside
 *
 * unmapped_node::drain_lock is held by unmapped_alloc_drain(), and taken with
 * mem_hotplug_lock held for writing. unmapped_pcp::lock, 2 and 3, the locks of the
 * direct map, and reclaim without I/O nest inside.
 *
 * purge_mutex in unmapped-vmap.c is held while mappings that were dropped are
 * removed, with none of the other locks held. maps_lock, locks of vmalloc, and
 * what a free takes (unmapped_pcp::lock, 2) nest inside.
 *
 * The direct map is never changed with a spinlock held: changing it takes other
 * locks (cpa_lock and init_mm's mmap_lock on x86) and waits for other CPUs.
 * vmemmap_remap_range() reclaims memory with init_mm's mmap_lock held, so
 * reclaim leaves changes that need this lock to a work item, which holds only
 * mem_hotplug_lock, for reading. Nor does direct_map_collapse() wait for this
 * lock as a writer, for then reclaim could not take it once more. The page
 * allocator's free path holds none of its own locks when it calls
 * unmapped_alloc_catch().
 *
 * Memory cost: about 1 KiB for each zone of each node, plus 24 bytes for each
 * CPU; a pointer for each 2 MiB of memory, up to 128 GiB; once the allocator is
 * used, an mm and its page tables for each CPU, about 22 KiB; 96 bytes for each
 * area that ever had fragments. Nothing in struct page; three bits for each
 * pageblock, in a word that has them to spare with MEMORY_ISOLATION, half a
 * byte more without.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/cpuhotplug.h>
#include <linux/cpuset.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/kmsan.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/unmapped_alloc.h>

#include <trace/events/kmem.h>
#include <trace/events/unmapped_alloc.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

struct unmapped_node *unmapped_nodes[MAX_NUMNODES] __ro_after_init;
EXPORT_SYMBOL_IF_KUNIT(unmapped_nodes);

bool unmapped_alloc_ready __ro_after_init;
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_alloc_ready);

/* === Accounting ========================================================== */

/* Not inlined, so that the common case saves no registers for them. */
static noinline void trace_alloc(struct page *page, unsigned int order,
				 gfp_t gfp)
{
	trace_unmapped_alloc(page, order, gfp);
}

static noinline void trace_free(struct page *page, unsigned int order)
{
	trace_unmapped_free(page, order);
}

/* What post_alloc_hook() does for the page allocator. */
static __always_inline void account_alloc(struct page *page,
					  unsigned int order, gfp_t gfp)
{
	if (page_accounting_enabled())
		page_alloc_account(page, order, gfp);
	unmapped_tag_used(page, order);
	if (trace_unmapped_alloc_enabled())
		trace_alloc(page, order, gfp);
}

/* What __free_pages_prepare() leaves to the allocator for its pages. */
static __always_inline void account_free(struct page *page, unsigned int order)
{
	if (trace_unmapped_free_enabled())
		trace_free(page, order);
	if (page_accounting_enabled())
		page_free_account(page, order);
	unmapped_tag_free(page, order);
}

/* === Allocation ========================================================== */

/*
 * Do what the page allocator does for a new page, except for its contents,
 * which are zero already. page->private must be 0.
 */
static __always_inline
struct page *hand_out_cleared(struct page *page, unsigned int order, gfp_t gfp)
{
	account_alloc(page, order, gfp);
	kmsan_alloc_page(page, order, gfp | __GFP_ZERO);
	if (order && (gfp & __GFP_COMP))
		prep_compound_page(page, order);
	set_page_refcounted(page);
	trace_mm_page_alloc(page, order, gfp, MIGRATE_UNMOVABLE);

	if (unlikely(gfp & __GFP_ACCOUNT) &&
	    memcg_kmem_charge_page(page, gfp, order)) {
		unmapped_pages_free(page, order);
		return NULL;
	}
	return page;
}

/* The same for a page that comes directly from the lists. */
static struct page *hand_out(struct page *page, unsigned int order, gfp_t gfp)
{
	bool zeroed = unmapped_page_zeroed(page) ||
		      unmapped_clear_chunk(page, order);

	set_page_private(page, 0);
	/* A page that got a hardware error since it was taken is not cleared. */
	if (unlikely(!zeroed)) {
		unmapped_zone_put(unmapped_page_zone(page), page, order);
		return NULL;
	}
	return hand_out_cleared(page, order, gfp);
}

/* The same for a block that its owner overwrites. */
static struct page *hand_out_uncleared(struct page *page, gfp_t gfp)
{
	set_page_private(page, 0);
	return hand_out_cleared(page, PMD_ORDER, gfp);
}

/**
 * struct request - what is requested, and where it may come from
 * @gfp: the caller's flags.
 * @order: order of the chunk.
 * @nid: preferred node.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr_pages: how many more pages the caller needs.
 * @no_reclaim: do not reclaim or compact memory.
 * @overwritten: do not clear the block, the caller will overwrite it.
 * @empty: a zone that was found empty just now, or NULL.
 */
struct request {
	gfp_t gfp;
	unsigned int order;
	int nid;
	nodemask_t *nodemask;
	unsigned long nr_pages;
	bool no_reclaim;
	bool overwritten;
	const struct unmapped_zone *empty;
};

/* Take a chunk off the zone's lists; an order-0 page, off the CPU's list. */
static struct page *take_cached(struct unmapped_node *node,
				enum zone_type zone, const struct request *r)
{
	struct unmapped_zone *uz = &node->zones[zone];
	struct page *page;

	if (uz == r->empty || !READ_ONCE(uz->count.owned))
		return NULL;
	if (r->order)
		page = unmapped_zone_take(uz, r->order);
	else
		page = unmapped_pcp_take_slow(uz);
	unmapped_refill_wake(node);
	return page;
}

/* The highest zone that may be used: neither highmem nor movable. */
static __always_inline enum zone_type highest_zone(gfp_t gfp)
{
	return gfp_zone(gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE));
}

/*
 * Search the caches in the order of the page allocator's zonelist; with @local,
 * only those of the first node in that order.
 */
static struct page *take_zonelist(const struct request *r, bool local)
{
	int nid, first = NUMA_NO_NODE;
	struct zoneref *z;
	struct zone *zone;
	struct page *page;

	for_each_zone_zonelist_nodemask(zone, z, node_zonelist(r->nid, r->gfp),
					highest_zone(r->gfp), r->nodemask) {
		nid = zonelist_node_idx(z);
		if (first == NUMA_NO_NODE)
			first = nid;
		if (local && nid != first)
			break;
		if (cpusets_enabled() &&
		    !cpuset_zone_allowed(zone, r->gfp | __GFP_HARDWALL))
			continue;
		page = take_cached(unmapped_node(nid), zonelist_zone_idx(z), r);
		if (page)
			return page;
	}
	return NULL;
}

/*
 * Take a block, or as many as a bulk request needs. Returns -EINTR if the task
 * was killed while it waited for another refill.
 */
static int refill_blocks(const struct request *r, gfp_t gfp, struct page **page)
{
	struct unmapped_node *node = unmapped_node(r->nid);
	unsigned int nr = clamp(DIV_ROUND_UP(r->nr_pages, UNMAPPED_BLOCK_PAGES),
				1UL, UINT_MAX);

	if (mutex_lock_killable(&node->refill_lock))
		return -EINTR;
	/* The previous holder may have refilled the cache. */
	*page = take_zonelist(r, gfp & __GFP_THISNODE);
	if (!*page)
		*page = unmapped_refill_blocks(node, gfp, r->order, r->nodemask,
					       nr);
	mutex_unlock(&node->refill_lock);

	unmapped_refill_wake(node);
	return 0;
}

/*
 * Take blocks, or else the largest fragment that is free and can be spared. A
 * fragment splits an entry of the direct map, and takes a flush of its own, which
 * is too much for a caller that would only prefer unmapped pages.
 */
static int refill_no_reclaim(const struct request *r, gfp_t gfp,
			     struct page **page)
{
	int min = r->no_reclaim ? PMD_ORDER : r->order;
	int order = unmapped_refill_spare(gfp, r->nid, r->nodemask, min,
					  PMD_ORDER);

	while (order >= 0) {
		if (order < PMD_ORDER)
			*page = unmapped_refill_fragment(gfp, order, r->order,
							 r->nid, r->nodemask);
		else if (refill_blocks(r, gfp, page))
			return -EINTR;
		/* It may just have been taken by others. */
		if (*page || order == min)
			break;
		order = unmapped_refill_spare(gfp, r->nid, r->nodemask, min,
					      order - 1);
	}
	return 0;
}

/* The node that the page allocator would try first. */
static int first_node_of(const struct request *r)
{
	struct zoneref *z = first_zones_zonelist(node_zonelist(r->nid, r->gfp),
						 highest_zone(r->gfp),
						 r->nodemask);

	return zonelist_zone(z) ? zonelist_node_idx(z) : NUMA_NO_NODE;
}

static bool has_other_nodes(const struct request *r)
{
	return nr_online_nodes > 1 &&
	       (!r->nodemask || nodes_weight(*r->nodemask) > 1);
}

/*
 * First take what can be spared, in the order of the zonelist: nearby memory,
 * even in fragments, before that of other nodes. Else take only what was
 * requested, with as much reclaim as the caller allows, or what other nodes have
 * in the cache.
 */
static struct page *alloc_slow(const struct request *request,
			       nodemask_t *nodemask)
{
	gfp_t gfp = unmapped_source_gfp(request->gfp);
	gfp_t no_reclaim = unmapped_no_reclaim_gfp(gfp);
	struct request r = *request;
	struct page *page = NULL;

	if (unmapped_clear_prepare(!r.no_reclaim))
		return NULL;

	r.nid = first_node_of(request);
	if (r.nid != NUMA_NO_NODE) {
		if (refill_no_reclaim(&r, no_reclaim | __GFP_THISNODE, &page))
			return NULL;
		if (!page && !(gfp & __GFP_THISNODE) && has_other_nodes(&r) &&
		    refill_no_reclaim(&r, no_reclaim, &page))
			return NULL;
		if (!page && r.no_reclaim)
			page = take_zonelist(&r, false);
	}
	if (!page && !r.no_reclaim)
		page = unmapped_refill_fragment(gfp, r.order, r.order,
						request->nid, nodemask);
	return page;
}

/* Flags that make no sense here, see unmapped_pages_alloc_nodemask(). */
#define UNMAPPED_BAD_GFP (__GFP_NOFAIL | __GFP_MOVABLE | __GFP_RECLAIMABLE | \
			  __GFP_SKIP_ZERO | __GFP_ZEROTAGS)

static __always_inline bool should_fail_pages(gfp_t gfp, unsigned int order)
{
#ifdef CONFIG_FAIL_PAGE_ALLOC
	/* Unless requested, order 0 never fails: spare it the call. */
	if (likely(order < READ_ONCE(fail_page_alloc_min_order)))
		return false;
#endif
	return should_fail_alloc_page(gfp, order);
}

/* As prepare_alloc_pages() of the page allocator: false if it is to fail. */
static __always_inline bool prepare_alloc(gfp_t gfp, unsigned int order)
{
	VM_WARN_ON_ONCE(gfp & UNMAPPED_BAD_GFP);
	might_alloc(gfp);
	return !should_fail_pages(gfp, order);
}

static struct page *alloc_request(struct request r)
{
	nodemask_t *nodemask = r.nodemask;
	struct page *page;

	if (!unmapped_alloc_ready ||
	    WARN_ON_ONCE_GFP(r.order > PMD_ORDER, r.gfp))
		return NULL;

	/* A preference unless __GFP_HARDWALL, as in the page allocator. */
	if (cpusets_enabled() && in_task() && !nodemask)
		r.nodemask = &cpuset_current_mems_allowed;

	page = take_zonelist(&r, true);
	r.empty = NULL;
	if (!page && gfpflags_allow_blocking(r.gfp))
		page = alloc_slow(&r, nodemask);
	else if (!page)
		page = take_zonelist(&r, false);

	if (!page)
		return NULL;
	if (r.overwritten)
		return hand_out_uncleared(page, r.gfp);
	return hand_out(page, r.order, r.gfp);
}

/* Not inlined, so that the common case needs no stack for the request. */
static noinline struct page *alloc_general(gfp_t gfp, unsigned int order,
					   int nid, nodemask_t *nodemask)
{
	return alloc_request((struct request) {
		.gfp = gfp,
		.order = order,
		.nid = nid,
		.nodemask = nodemask,
	});
}

/* The zone that the page allocator would try first, NULL if not obvious. */
static __always_inline struct unmapped_zone *common_zone(gfp_t gfp, int nid)
{
	struct zoneref *z = node_zonelist(nid, gfp)->_zonerefs;

	if (cpusets_enabled() || unlikely(!zonelist_zone(z)) ||
	    unlikely(zonelist_zone_idx(z) > ZONE_NORMAL) ||
	    unlikely(gfp & (__GFP_DMA | __GFP_DMA32)) ||
	    unlikely(!unmapped_alloc_ready))
		return NULL;

	return &unmapped_node(zonelist_node_idx(z))->zones[zonelist_zone_idx(z)];
}

/* Take a page off the per-CPU list, and fill or clear the list if needed. */
static noinline struct page *alloc_single(struct unmapped_zone *uz, gfp_t gfp,
					  int nid)
{
	struct page *page = unmapped_pcp_take_slow(uz);

	if (unlikely(!page))
		return alloc_request((struct request) {
			.gfp = gfp,
			.nid = nid,
			.empty = uz,
		});
	unmapped_refill_wake(unmapped_node(page_to_nid(page)));
	return hand_out(page, 0, gfp);
}

/* The same as alloc_pages_from(), after prepare_alloc(). */
static __always_inline
struct page *alloc_prepared(gfp_t gfp, unsigned int order, int nid,
			    nodemask_t *nodemask)
{
	struct unmapped_zone *uz;
	struct page *page;

	if (unlikely(order) || unlikely(nodemask))
		return alloc_general(gfp, order, nid, nodemask);

	uz = common_zone(gfp, nid);
	if (unlikely(!uz))
		return alloc_general(gfp, 0, nid, NULL);

	page = unmapped_pcp_take(uz);
	if (unlikely(!page))
		return alloc_single(uz, gfp, nid);
	set_page_private(page, 0);
	return hand_out_cleared(page, 0, gfp);
}

static __always_inline
struct page *alloc_pages_from(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	if (unlikely(!prepare_alloc(gfp, order)))
		return NULL;
	return alloc_prepared(gfp, order, nid, nodemask);
}

/* Without __GFP_DIRECT_RECLAIM, pages come from the cache only. */
struct page *unmapped_pages_alloc_spare_noprof(gfp_t gfp, unsigned int order,
					       int nid)
{
	struct page *page;

	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	if (unlikely(!prepare_alloc(gfp, order)))
		return NULL;
	if (!gfpflags_allow_blocking(gfp))
		return alloc_prepared(gfp, order, nid, NULL);

	/* A free block of the node is better than another node's cache. */
	page = alloc_prepared((gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_THISNODE,
			      order, nid, NULL);
	if (likely(page))
		return page;

	return alloc_request((struct request) {
		.gfp = gfp,
		.order = order,
		.nid = nid,
		.no_reclaim = true,
	});
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_spare_noprof);

struct page *unmapped_pages_alloc_nodemask_noprof(gfp_t gfp, unsigned int order,
						  int nid, nodemask_t *nodemask)
{
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	return alloc_pages_from(gfp, order, nid, nodemask);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_nodemask_noprof);

#ifdef CONFIG_NUMA
static struct page *alloc_mpol(gfp_t gfp, unsigned int order,
			       struct mempolicy *pol, pgoff_t ilx, int nid)
{
	nodemask_t *nodemask = policy_nodemask(gfp, pol, ilx, &nid);
	struct page *page = NULL;

	/* Like alloc_pages(): try other nodes before direct reclaim. */
	if (pol->mode == MPOL_PREFERRED_MANY && prepare_alloc(gfp, order)) {
		page = alloc_request((struct request) {
			.gfp = gfp | __GFP_NOWARN,
			.order = order,
			.nid = nid,
			.nodemask = nodemask,
			.no_reclaim = true,
		});
	}
	if (pol->mode == MPOL_PREFERRED_MANY)
		nodemask = NULL;
	if (!page)
		page = alloc_pages_from(gfp, order, nid, nodemask);
	return page;
}

static __always_inline
struct page *alloc_pages_task(gfp_t gfp, unsigned int order)
{
	if (likely(!current->mempolicy) || in_interrupt() ||
	    (gfp & __GFP_THISNODE))
		return alloc_pages_from(gfp, order, numa_mem_id(), NULL);

	return alloc_mpol(gfp, order, current->mempolicy, NO_INTERLEAVE_INDEX,
			  numa_node_id());
}
#else
static struct page *alloc_mpol(gfp_t gfp, unsigned int order,
			       struct mempolicy *pol, pgoff_t ilx, int nid)
{
	return alloc_pages_from(gfp, order, nid, NULL);
}

static __always_inline
struct page *alloc_pages_task(gfp_t gfp, unsigned int order)
{
	return alloc_pages_from(gfp, order, numa_mem_id(), NULL);
}
#endif

struct page *unmapped_pages_alloc_noprof(gfp_t gfp, unsigned int order)
{
	return alloc_pages_task(gfp, order);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_noprof);

struct page *unmapped_block_alloc_noprof(gfp_t gfp)
{
	VM_WARN_ON_ONCE(gfp & (__GFP_COMP | __GFP_ACCOUNT));
	if (!prepare_alloc(gfp, PMD_ORDER))
		return NULL;
	return alloc_request((struct request) {
		.gfp = gfp,
		.order = PMD_ORDER,
		.nid = numa_mem_id(),
		.overwritten = true,
	});
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_block_alloc_noprof);

struct folio *unmapped_folio_alloc_noprof(gfp_t gfp, unsigned int order)
{
	gfp |= __GFP_COMP;
	return page_rmappable_folio(alloc_pages_task(gfp, order));
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_folio_alloc_noprof);

struct folio *unmapped_folio_alloc_mpol_noprof(gfp_t gfp, unsigned int order,
					       struct mempolicy *pol,
					       pgoff_t ilx, int nid)
{
	gfp |= __GFP_COMP;
	return page_rmappable_folio(alloc_mpol(gfp, order, pol, ilx, nid));
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_folio_alloc_mpol_noprof);

#ifdef CONFIG_NUMA
static noinline struct folio *vma_folio_alloc(gfp_t gfp, unsigned int order,
					      struct vm_area_struct *vma,
					      unsigned long addr)
{
	struct mempolicy *pol;
	struct folio *folio;
	pgoff_t ilx;

	pol = get_vma_policy(vma, addr, order, &ilx);
	folio = unmapped_folio_alloc_mpol_noprof(gfp, order, pol, ilx,
						 numa_node_id());
	mpol_cond_put(pol);
	return folio;
}
#endif

struct folio *unmapped_vma_folio_alloc_noprof(gfp_t gfp, unsigned int order,
					      struct vm_area_struct *vma,
					      unsigned long addr)
{
#ifdef CONFIG_NUMA
	if (unlikely(vma->vm_policy) ||
	    unlikely(vma->vm_ops && vma->vm_ops->get_policy))
		return vma_folio_alloc(gfp, order, vma, addr);
#endif
	/* The task's policy applies; most tasks have none. */
	gfp |= __GFP_COMP;
	return page_rmappable_folio(alloc_pages_task(gfp, order));
}

/* === Many pages at once ================================================== */

/* Hand out up to @nr pages of a zone; returns how many it had. */
static unsigned long take_more(struct unmapped_zone *uz, unsigned int nr,
			       gfp_t gfp, struct page **pages)
{
	struct llist_node *list = NULL, *last = NULL;
	unsigned long got = 0;
	struct page *page;

	if (!nr || !unmapped_zone_take_bulk(uz, nr, &list, &last))
		return 0;

	unmapped_clear_list(list);
	while (list) {
		page = llist_entry(list, struct page, pcp_llist);
		list = list->next;
		/* Even if it has been unpoisoned meanwhile, it was not cleared. */
		if (unlikely(!unmapped_page_zeroed(page)) ||
		    unlikely(PageHWPoison(page))) {
			unmapped_zone_put(uz, page, 0);
			continue;
		}
		set_page_private(page, 0);
		pages[got] = hand_out_cleared(page, 0, gfp);
		if (!pages[got])
			break;
		got++;
	}
	unmapped_zone_put_bulk(uz, list);
	return got;
}

/*
 * Each round allocates one page in the regular way, which handles policies and
 * cpusets and refills the cache, and then takes more from the zone of that
 * page.
 */
static unsigned long alloc_bulk(struct request r, unsigned long nr_pages,
				struct page **pages)
{
	unsigned long got = 0, more;

	if (r.nid == NUMA_NO_NODE)
		r.nid = numa_mem_id();
	if (!prepare_alloc(r.gfp, 0))
		return 0;

	while (got < nr_pages) {
		r.nr_pages = nr_pages - got;
		pages[got] = alloc_request(r);
		if (!pages[got])
			break;
		got++;
		do {
			more = take_more(unmapped_page_zone(pages[got - 1]),
					 min(nr_pages - got, UNMAPPED_BLOCK_PAGES),
					 r.gfp, pages + got);
			got += more;
		} while (more);
	}
	return got;
}

unsigned long unmapped_pages_alloc_bulk_noprof(gfp_t gfp, int nid,
					       nodemask_t *nodemask,
					       unsigned long nr_pages,
					       struct page **pages)
{
	return alloc_bulk((struct request) {
		.gfp = gfp,
		.nid = nid,
		.nodemask = nodemask,
	}, nr_pages, pages);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_bulk_noprof);

unsigned long unmapped_pages_alloc_bulk_spare_noprof(gfp_t gfp, int nid,
						     unsigned long nr_pages,
						     struct page **pages)
{
	return alloc_bulk((struct request) {
		.gfp = gfp,
		.nid = nid,
		.no_reclaim = true,
	}, nr_pages, pages);
}

#ifdef CONFIG_NUMA
static bool decides_page_by_page(const struct mempolicy *pol)
{
	return pol->mode == MPOL_INTERLEAVE ||
	       pol->mode == MPOL_WEIGHTED_INTERLEAVE ||
	       pol->mode == MPOL_PREFERRED_MANY;
}

static unsigned long alloc_one_by_one(gfp_t gfp, struct mempolicy *pol,
				      unsigned long nr_pages,
				      struct page **pages)
{
	unsigned long got;

	for (got = 0; got < nr_pages; got++) {
		pages[got] = alloc_mpol(gfp, 0, pol, NO_INTERLEAVE_INDEX,
					numa_node_id());
		if (!pages[got])
			break;
	}
	return got;
}

unsigned long unmapped_pages_alloc_bulk_mpol_noprof(gfp_t gfp,
						    struct mempolicy *pol,
						    unsigned long nr_pages,
						    struct page **pages)
{
	int nid = numa_node_id();
	nodemask_t *nodemask;

	if (!pol)
		pol = get_task_policy(current);
	if (decides_page_by_page(pol))
		return alloc_one_by_one(gfp, pol, nr_pages, pages);

	nodemask = policy_nodemask(gfp, pol, NO_INTERLEAVE_INDEX, &nid);
	return unmapped_pages_alloc_bulk_noprof(gfp, nid, nodemask, nr_pages,
						pages);
}
#else
unsigned long unmapped_pages_alloc_bulk_mpol_noprof(gfp_t gfp,
						    struct mempolicy *pol,
						    unsigned long nr_pages,
						    struct page **pages)
{
	return unmapped_pages_alloc_bulk_noprof(gfp, NUMA_NO_NODE, NULL,
						nr_pages, pages);
}
#endif
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_pages_alloc_bulk_mpol_noprof);

/* === Free ================================================================ */

void unmapped_pages_free(struct page *page, unsigned int order)
{
	VM_WARN_ON_ONCE_PAGE(!unmapped_page(page), page);
	__free_pages(page, order);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_free);

/* What __free_pages_prepare() and unmapped_alloc_catch() do, but no clearing. */
void unmapped_block_free(struct page *page)
{
	VM_WARN_ON_ONCE_PAGE(!unmapped_page(page), page);
	/* A reference to the first page alone must not keep the others. */
	if (!page_ref_freeze(page, 1)) {
		__free_pages(page, PMD_ORDER);
		return;
	}

	trace_mm_page_free(page, PMD_ORDER);
	kmsan_free_page(page, PMD_ORDER);
	account_free(page, PMD_ORDER);
	set_page_private(page, 0);
	unmapped_zone_put(unmapped_page_zone(page), page, PMD_ORDER);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_block_free);

void unmapped_free_folio(struct folio *folio)
{
	/* The page cache holds a reference per page, and the caller one. */
	if (folio_ref_count(folio) > folio_nr_pages(folio) + 1)
		unmapped_clear_chunk(folio_page(folio, 0), folio_order(folio));
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_free_folio);

static void put_chunk(struct page *page, unsigned int order)
{
	/* A page that was poisoned meanwhile may be unpoisoned before it is put. */
	bool zeroed = unmapped_clear_chunk(page, order);

	set_page_private(page, zeroed ? UNMAPPED_ZEROED : 0);
	unmapped_zone_put(unmapped_page_zone(page), page, order);
}

/* Pages that a CPU freed where no lock can be taken, until @work runs on it. */
struct deferred {
	struct llist_head pages;
	/* Those that have been taken off; used by @work, and for a dead CPU. */
	struct llist_node *rest;
	struct irq_work work;
};

static void put_deferred(struct irq_work *work);

static DEFINE_PER_CPU(struct deferred, deferred) = {
	.pages = LLIST_HEAD_INIT(deferred.pages),
	.work = IRQ_WORK_INIT(put_deferred),
};

/* Put the first pages of the list, at most UNMAPPED_BATCH; returns the rest. */
static struct llist_node *put_deferred_batch(struct llist_node *list)
{
	unsigned int order, nr = 0;
	struct page *page;

	while (list) {
		page = llist_entry(list, struct page, pcp_llist);
		order = page_private(page);
		nr += 1U << order;
		if (nr > UNMAPPED_BATCH)
			break;
		list = list->next;
		put_chunk(page, order);
	}
	return list;
}

/*
 * A CPU that is about to die has run its irq_work for the last time. One queued
 * now would never run, and would block further irq_works after the CPU is back
 * online. So the pages are left to drain_dead_cpu().
 */
VISIBLE_IF_KUNIT void unmapped_queue_deferred(struct irq_work *work)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_queue_deferred, work);

	if (likely(cpu_online(smp_processor_id())))
		irq_work_queue(work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_queue_deferred);

/*
 * Except on PREEMPT_RT, interrupts are off here: leave all but a batch of pages
 * to further interrupts.
 */
static void put_deferred(struct irq_work *work)
{
	struct deferred *own = container_of(work, struct deferred, work);
	struct llist_node *list = own->rest ?: llist_del_all(&own->pages);

	WRITE_ONCE(own->rest, put_deferred_batch(list));
	if (own->rest || !llist_empty(&own->pages))
		unmapped_queue_deferred(work);
}

/* What the dead CPU's last irq_work left. */
VISIBLE_IF_KUNIT void unmapped_put_deferred_of(unsigned int cpu)
{
	struct deferred *own = per_cpu_ptr(&deferred, cpu);

	while (own->rest || !llist_empty(&own->pages))
		own->rest = put_deferred_batch(own->rest ?:
					       llist_del_all(&own->pages));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_put_deferred_of);

/* Queue the chunk in pieces, each of which is cleared quickly. */
static void defer_put(struct page *page, unsigned int order)
{
	unsigned int piece = min(order, ilog2(UNMAPPED_BATCH));
	struct page *end = page + (1UL << order);
	struct deferred *own;

	guard(preempt)();
	own = this_cpu_ptr(&deferred);
	for (; page < end; page += 1UL << piece) {
		set_page_private(page, piece);
		llist_add(&page->pcp_llist, &own->pages);
	}
	unmapped_queue_deferred(&own->work);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Wait until all CPUs have put what they had deferred. */
void unmapped_alloc_sync_deferred(void)
{
	struct deferred *own;
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		own = per_cpu_ptr(&deferred, cpu);
		do
			irq_work_sync(&own->work);
		while (READ_ONCE(own->rest) || !llist_empty(&own->pages));
	}
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_sync_deferred);
#endif

static __always_inline void put_single(struct page *page,
				       struct llist_node **batch)
{
	if (batch) {
		page->pcp_llist.next = *batch;
		*batch = &page->pcp_llist;
		return;
	}
	unmapped_clear_pages(&page, 1);
	unmapped_pcp_put(unmapped_page_zone(page), page);
}

static noinline void catch_other(struct page *page, unsigned int order,
				 bool nolock)
{
	account_free(page, order);
	if (unlikely(nolock))
		defer_put(page, order);
	else
		put_chunk(page, order);
}

/**
 * unmapped_alloc_catch() - take back a page that is being freed
 * @page: first page, without references, checked and prepared for freeing, but
 *	not accounted as freed. It belongs to the allocator.
 * @order: order that it is freed with.
 * @flags: flags of its pageblock.
 * @nolock: no lock may be taken.
 * @batch: if not NULL, the page may be added to this list, of at most
 *	FOLIO_BATCH_SIZE pages, for unmapped_alloc_free_batch().
 *
 * Called by the page allocator.
 *
 * Context: Any context; NMI only with @nolock.
 */
void unmapped_alloc_catch(struct page *page, unsigned int order,
			  unsigned long flags, bool nolock,
			  struct llist_node **batch)
{
	/* A page of an isolated pageblock must not be handed out again. */
	if (unlikely(flags & UNMAPPED_PAGEBLOCK_ISOLATED) || unlikely(order) ||
	    unlikely(nolock) || unlikely(PageHWPoison(page))) {
		catch_other(page, order, nolock);
		return;
	}

	/* The common case: a single page. */
	account_free(page, 0);
	put_single(page, batch);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_catch);

/**
 * unmapped_alloc_free_batch() - free pages collected by unmapped_alloc_catch()
 * @batch: the pages.
 *
 * Called by the page allocator. Clears them with a single switch of page
 * tables.
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_free_batch(struct llist_node *batch)
{
	unmapped_clear_list(batch);
	while (batch)
		batch = unmapped_pcp_put_run(batch);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_free_batch);

/* === Boot ================================================================ */

static void __init free_node(struct unmapped_node *node)
{
	int i;

	if (!node)
		return;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_pcp_exit(&node->zones[i]);
	kfree(node);
}

static struct unmapped_node * __init alloc_node(int nid)
{
	struct unmapped_node *node;
	int i;

	node = kzalloc_node(sizeof(*node), GFP_KERNEL,
			    node_online(nid) ? nid : NUMA_NO_NODE);
	if (!node)
		return NULL;

	node->nid = nid;
	unmapped_refill_init(node);
	unmapped_release_init_node(node);
	unmapped_isolate_init_node(node);
	for (i = 0; i < UNMAPPED_NR_ZONES; i++) {
		unmapped_zone_init(&node->zones[i], nid);
		if (unmapped_pcp_init(&node->zones[i]))
			goto fail;
		if (node_online(nid))
			unmapped_pcp_update(&node->zones[i],
					    &NODE_DATA(nid)->node_zones[i]);
	}
	return node;

fail:
	free_node(node);
	return NULL;
}

static int __init init_nodes(void)
{
	int nid;

	for_each_node(nid) {
		unmapped_nodes[nid] = alloc_node(nid);
		if (!unmapped_nodes[nid])
			return -ENOMEM;
	}
	return 0;
}

static void __init free_nodes(void)
{
	int nid;

	for_each_node(nid) {
		free_node(unmapped_nodes[nid]);
		unmapped_nodes[nid] = NULL;
	}
}

static int drain_dead_cpu(unsigned int cpu)
{
	int nid, i;

	unmapped_put_deferred_of(cpu);
	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_pcp_drain_cpu(&unmapped_node(nid)->zones[i],
					       cpu);
	return 0;
}

static int __init unmapped_alloc_init(void)
{
	int err;

	/* A pageblock bit must not cover more than a block. */
	if (!can_set_direct_map() || !arch_unmapped_alloc_supported() ||
	    pageblock_order > PMD_ORDER)
		return 0;

	err = init_nodes();
	if (!err)
		err = unmapped_owner_init();
	if (!err)
		err = unmapped_clear_init();
	if (!err)
		err = unmapped_release_init();
	if (err) {
		free_nodes();
		pr_err("not available, error %d\n", err);
		return err;
	}

	unmapped_isolate_init();
	/* If this fails, pages stay on a dead CPU's list until a drain. */
	cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "mm/unmapped_alloc:dead",
				  NULL, drain_dead_cpu);
	unmapped_alloc_ready = true;
	return 0;
}
core_initcall(unmapped_alloc_init);
