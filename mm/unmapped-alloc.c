// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 */

/**
 * DOC: unmapped page allocator
 *
 * Some memory must not be reachable through the kernel's direct map: secrets
 * of user space, the memory of a VM, kernel text. Removing such pages one by
 * one splits the direct map's large entries for good and costs a TLB flush on
 * every CPU each time. This allocator sits on top of the page allocator, takes
 * whole PMD-size blocks from it, removes several in one go with one flush, and
 * hands out pages of them. Freed pages are cleared and stay unmapped in the
 * cache; when memory is short or nobody asks for them, whole blocks go back,
 * mapped by one large entry as before.
 *
 * Not provided: memory that can be migrated or swapped; memory for
 * architectures whose direct map can't be changed, see
 * ARCH_SUPPORTS_UNMAPPED_ALLOC; protection from accesses that do not use the
 * direct map, such as a device's or the owner's own mappings.
 *
 * States of an owned page:
 *
 * - used: handed out. All of struct page belongs to the consumer. How the
 *   last reference is dropped does not matter: __free_pages_prepare() brings
 *   the page here.
 * - cached: free and zeroed, on a CPU's list or part of a chunk on one of the
 *   lists of its zone.
 * - in transit: taken off the lists to be given back.
 *
 * Lock order:
 *
 * 1. unmapped_node::refill_lock, a mutex around taking blocks
 * 2. refill_sem in unmapped-refill.c, read around each refill, never waited for
 *    there
 * 3. unmapped_zone::lock, interrupts off
 * 4. xarray lock in unmapped-owner.c, interrupts off
 * 5. locks of the slab and the page allocator: under 4 for kfree_rcu(), under
 *    3 for the note about a block that is broken (GFP_NOWAIT)
 *
 * unmapped_pcp::lock nests in nothing and nothing nests in it, except that the
 * check for tests takes it by itself. The direct map is only changed without
 * spinlocks; it has locks of its own (cpa_lock and init_mm's mmap_lock on x86)
 * and waits for other CPUs. Others reclaim with init_mm's mmap_lock, so reclaim
 * leaves what needs it to a work item that holds nothing but mem_hotplug_lock,
 * for reading. The page allocator's free path comes here without
 * a lock of its own.
 *
 * Memory cost: about 1 KiB for each node and zone, and 16 bytes more for each
 * CPU; 24 bytes and a cache line's worth of page table for each possible CPU's
 * window; 96 bytes for each area with fragments. None in struct page, three
 * bits for each pageblock, in a word that had them to spare.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/cpuhotplug.h>
#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kmsan.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/unmapped_alloc.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

struct unmapped_node *unmapped_nodes[MAX_NUMNODES] __ro_after_init;
EXPORT_SYMBOL_IF_KUNIT(unmapped_nodes);

bool unmapped_alloc_ready __ro_after_init;
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_alloc_ready);

atomic_long_t unmapped_events[UNMAPPED_NR_EVENTS];
EXPORT_SYMBOL_IF_KUNIT(unmapped_events);

/* === Accounting ========================================================== */

#ifdef CONFIG_MEM_ALLOC_PROFILING
/* Whom /proc/allocinfo shows as the user of memory in the cache. */
static struct alloc_tag *unmapped_cache_tag(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

static __always_inline void charge_cache(long nr_pages)
{
	if (mem_alloc_profiling_enabled())
		this_cpu_add(unmapped_cache_tag()->counters->bytes,
			     nr_pages * PAGE_SIZE);
}
#else
static void charge_cache(long nr_pages) { }
#endif

/**
 * unmapped_check_out() - pages leave the page allocator's books
 * @page: first page, from the page allocator.
 * @order: order of the chunk.
 */
void unmapped_check_out(struct page *page, unsigned int order)
{
	page_free_account(page, order);
	charge_cache(1L << order);
}

/**
 * unmapped_check_in() - pages return to the page allocator's books
 * @page: first page, about to be freed to it.
 * @order: order of the chunk.
 */
void unmapped_check_in(struct page *page, unsigned int order)
{
	struct alloc_tag * __maybe_unused old;

	charge_cache(-(1L << order));
	old = alloc_tag_save(unmapped_cache_tag());
	page_alloc_account(page, order, GFP_KERNEL, ALLOC_DEFAULT);
	alloc_tag_restore(unmapped_cache_tag(), old);
}

/* What the page allocator does for a new page, contents aside. */
static __always_inline
struct page *hand_out(struct page *page, unsigned int order, gfp_t gfp)
{
	if (page_accounting_enabled()) {
		charge_cache(-(1L << order));
		page_alloc_account(page, order, gfp, ALLOC_DEFAULT);
	}
	/* Zeroed; of no-zero pages nobody reads what has not been written. */
	kmsan_alloc_page(page, order, gfp | __GFP_ZERO);
	if (order && (gfp & __GFP_COMP))
		prep_compound_page(page, order);
	set_page_refcounted(page);

	if (unlikely(gfp & __GFP_ACCOUNT) &&
	    memcg_kmem_charge_page(page, gfp, order)) {
		unmapped_pages_free(page, order);
		return NULL;
	}
	return page;
}

/* === The CPUs' lists ===================================================== */

/* Add @list, which ends with @last, to the front of this CPU's list. */
static void pcp_add_locked(struct unmapped_pcp *pcp, struct llist_node *list,
			   struct llist_node *last, unsigned int nr)
{
	lockdep_assert_held(&pcp->lock);

	last->next = pcp->head;
	pcp->head = list;
	WRITE_ONCE(pcp->count, pcp->count + nr);
}

static struct page *pcp_take_locked(struct unmapped_pcp *pcp)
{
	struct llist_node *node = pcp->head;

	if (unlikely(!node))
		return NULL;

	pcp->head = node->next;
	WRITE_ONCE(pcp->count, pcp->count - 1);
	return llist_entry(node, struct page, pcp_llist);
}

/* Cut off what is behind the first @keep pages. */
static struct llist_node *pcp_cut_locked(struct unmapped_pcp *pcp,
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

static __always_inline
struct unmapped_pcp *pcp_lock(struct unmapped_zone *uz, unsigned long *flags)
{
	struct unmapped_pcp *pcp;

	local_irq_save(*flags);
	pcp = this_cpu_ptr(uz->pcp);
	raw_spin_lock(&pcp->lock);
	return pcp;
}

static __always_inline
void pcp_unlock(struct unmapped_pcp *pcp, unsigned long flags)
{
	raw_spin_unlock(&pcp->lock);
	local_irq_restore(flags);
}

static __always_inline struct page *pcp_take(struct unmapped_zone *uz)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = pcp_lock(uz, &flags);
	struct page *page = pcp_take_locked(pcp);

	pcp_unlock(pcp, flags);
	return page;
}

/* This CPU's list is empty: fill it from the zone's, and take one page. */
static struct page *pcp_fill_and_take(struct unmapped_zone *uz)
{
	struct llist_node *list = NULL, *last = NULL;
	struct unmapped_pcp *pcp;
	struct page *page;
	unsigned long flags;
	unsigned int nr;

	nr = unmapped_zone_take_bulk(uz, UNMAPPED_PCP_BATCH, &list, &last);
	if (!nr)
		return NULL;

	page = llist_entry(list, struct page, pcp_llist);
	list = list->next;
	if (nr == 1)
		return page;

	pcp = pcp_lock(uz, &flags);
	pcp_add_locked(pcp, list, last, nr - 1);
	pcp_unlock(pcp, flags);
	return page;
}

/* This CPU's list has become long: a half goes to the zone's lists. */
static noinline void pcp_relieve(struct unmapped_zone *uz)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = pcp_lock(uz, &flags);
	struct llist_node *surplus = pcp_cut_locked(pcp, UNMAPPED_PCP_BATCH);

	pcp_unlock(pcp, flags);
	if (surplus)
		unmapped_zone_put_bulk(uz, surplus);
}

/* Clear a page and put it on this CPU's list. */
static __always_inline void pcp_put(struct unmapped_zone *uz, struct page *page)
{
	unsigned long flags;
	struct unmapped_pcp *pcp = pcp_lock(uz, &flags);
	unsigned int count;

	unmapped_clear_page(page);
	pcp_add_locked(pcp, &page->pcp_llist, &page->pcp_llist, 1);
	count = pcp->count;
	pcp_unlock(pcp, flags);

	if (unlikely(count >= 2 * UNMAPPED_PCP_BATCH))
		pcp_relieve(uz);
}

static void drain_cpu(struct unmapped_zone *uz, unsigned int cpu)
{
	struct unmapped_pcp *pcp = per_cpu_ptr(uz->pcp, cpu);
	struct llist_node *list;

	if (!READ_ONCE(pcp->count))
		return;

	scoped_guard(raw_spinlock_irqsave, &pcp->lock)
		list = pcp_cut_locked(pcp, 0);
	unmapped_zone_put_bulk(uz, list);
}

/**
 * unmapped_drain_pcp() - empty the CPUs' lists
 * @uz: the zone, to whose lists the pages go.
 *
 * Context: Any context except NMI.
 */
void unmapped_drain_pcp(struct unmapped_zone *uz)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		drain_cpu(uz, cpu);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_drain_pcp);

static int drain_dead_cpu(unsigned int cpu)
{
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			drain_cpu(&unmapped_node(nid)->zones[i], cpu);
	return 0;
}

/* === Allocation ========================================================== */

/**
 * struct request - what is asked for, and where it may come from
 * @gfp: flags of the caller.
 * @order: order of the chunk.
 * @nid: preferred node.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr_pages: how many more pages the caller is going to ask for.
 * @nozero: the contents don't matter.
 * @easy: only what is to be had without effort.
 */
struct request {
	gfp_t gfp;
	unsigned int order;
	int nid;
	nodemask_t *nodemask;
	unsigned long nr_pages;
	bool nozero;
	bool easy;
};

static struct page *take_single(struct unmapped_node *node,
				struct unmapped_zone *uz)
{
	struct page *page;

	while (1) {
		page = pcp_take(uz);
		if (unlikely(!page)) {
			page = pcp_fill_and_take(uz);
			unmapped_refill_wake(node);
		}
		if (!page || likely(!PageHWPoison(page)))
			return page;
		/* That is where it gets lost. */
		unmapped_zone_put(uz, page, 0);
	}
}

static struct page *take_cached(struct unmapped_node *node,
				enum zone_type zone, const struct request *r)
{
	struct page *page;

	if (likely(!r->order) && likely(!r->nozero))
		return take_single(node, &node->zones[zone]);

	page = unmapped_zone_take(&node->zones[zone], r->order, r->nozero);
	unmapped_refill_wake(node);
	return page;
}

/* The last zone that may be used: neither highmem nor movable, see above. */
static __always_inline enum zone_type highest_zone(gfp_t gfp)
{
	return gfp_zone(gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE));
}

/*
 * Look through the caches in the order that the page allocator would; with
 * @local, only through those of the first node in that order.
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

/* Blocks, or the largest fragment, if they lie there. */
static struct page *refill_what_lies_there(const struct request *r, gfp_t gfp)
{
	struct unmapped_node *node = unmapped_node(r->nid);
	struct page *page;
	unsigned int from;

	scoped_guard(mutex, &node->refill_lock) {
		/* Who had the lock before may have refilled for all who wait. */
		page = take_zonelist(r, gfp & __GFP_THISNODE);
		if (!page)
			page = unmapped_refill_node(node, gfp, r->order,
						    r->nodemask, r->nr_pages,
						    r->nozero);
	}
	for (from = PMD_ORDER - 1; !page && from > r->order; from--)
		page = unmapped_refill_fragment(gfp, from, r->order, r->nid,
						r->nodemask);
	return page;
}

/* The node that the page allocator would try first. */
static int first_node_of(const struct request *r)
{
	struct zoneref *z = first_zones_zonelist(node_zonelist(r->nid, r->gfp),
						 highest_zone(r->gfp),
						 r->nodemask);

	return zonelist_zone(z) ? zonelist_node_idx(z) : NUMA_NO_NODE;
}

/*
 * First what is to be had without effort, in the page allocator's order: near
 * memory, if need be in fragments, before that of other nodes. At last, with
 * all the effort that the caller allows, just what is needed.
 */
static struct page *alloc_slow(const struct request *request,
			       nodemask_t *nodemask)
{
	gfp_t gfp = unmapped_source_gfp(request->gfp);
	gfp_t easy = unmapped_opportunistic_gfp(gfp);
	struct request r = *request;
	struct page *page = NULL;

	r.nid = first_node_of(request);
	if (r.nid != NUMA_NO_NODE) {
		page = refill_what_lies_there(&r, easy | __GFP_THISNODE);
		if (!page && !(gfp & __GFP_THISNODE))
			page = refill_what_lies_there(&r, easy);
	}
	if (!page && !r.easy)
		page = unmapped_refill_fragment(gfp, r.order, r.order,
						request->nid, nodemask);
	return page;
}

/* Flags that make no sense here, see unmapped_pages_alloc_nodemask(). */
#define UNMAPPED_BAD_GFP (__GFP_NOFAIL | __GFP_MOVABLE | __GFP_RECLAIMABLE | \
			  __GFP_SKIP_ZERO | __GFP_ZEROTAGS)

static struct page *alloc_request(struct request r)
{
	nodemask_t *nodemask = r.nodemask;
	struct page *page;

	VM_WARN_ON_ONCE(r.gfp & UNMAPPED_BAD_GFP);
	if (!unmapped_alloc_ready ||
	    WARN_ON_ONCE_GFP(r.order > PMD_ORDER, r.gfp))
		return NULL;

	/* As the page allocator does: a preference, if gfp is no hardwall. */
	if (cpusets_enabled() && in_task() && !nodemask)
		r.nodemask = &cpuset_current_mems_allowed;

	page = take_zonelist(&r, true);
	if (!page && gfpflags_allow_blocking(r.gfp))
		page = alloc_slow(&r, nodemask);
	else if (!page)
		page = take_zonelist(&r, false);

	return page ? hand_out(page, r.order, r.gfp) : NULL;
}

/* Apart, so that the common case needs no stack for the request. */
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

/*
 * The common case: a page from this CPU's list for the zone that the page
 * allocator would try first. NULL is no answer.
 */
static __always_inline struct page *take_fast(gfp_t gfp, int nid)
{
	struct zoneref *z = node_zonelist(nid, gfp)->_zonerefs;
	struct unmapped_zone *uz;
	struct page *page;

	if (cpusets_enabled() || unlikely(!zonelist_zone(z)) ||
	    unlikely(zonelist_zone_idx(z) > ZONE_NORMAL) ||
	    unlikely(gfp & (__GFP_DMA | __GFP_DMA32)) ||
	    unlikely(!unmapped_alloc_ready))
		return NULL;

	uz = &unmapped_node(zonelist_node_idx(z))->zones[zonelist_zone_idx(z)];
	page = pcp_take(uz);
	if (unlikely(page && PageHWPoison(page))) {
		unmapped_zone_put(uz, page, 0);
		return NULL;
	}
	return page;
}

static __always_inline
struct page *alloc_pages_from(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	struct page *page;

	if (likely(!order) && likely(!nodemask)) {
		VM_WARN_ON_ONCE(gfp & UNMAPPED_BAD_GFP);
		page = take_fast(gfp, nid);
		if (likely(page))
			return hand_out(page, 0, gfp);
	}
	return alloc_general(gfp, order, nid, nodemask);
}

struct page *unmapped_pages_alloc_nodemask_noprof(gfp_t gfp, unsigned int order,
						  int nid, nodemask_t *nodemask)
{
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	return alloc_pages_from(gfp, order, nid, nodemask);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_nodemask_noprof);

struct page *unmapped_pages_alloc_nozero_noprof(gfp_t gfp, unsigned int order,
						int nid, nodemask_t *nodemask)
{
	return alloc_request((struct request) {
		.gfp = gfp,
		.order = order,
		.nid = nid == NUMA_NO_NODE ? numa_mem_id() : nid,
		.nodemask = nodemask,
		.nozero = true,
	});
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_nozero_noprof);

#ifdef CONFIG_NUMA
static struct page *alloc_mpol(gfp_t gfp, unsigned int order,
			       struct mempolicy *pol, pgoff_t ilx, int nid)
{
	nodemask_t *nodemask = policy_nodemask(gfp, pol, ilx, &nid);
	struct page *page = NULL;

	/* As alloc_pages() does: other nodes rather than direct reclaim. */
	if (pol->mode == MPOL_PREFERRED_MANY) {
		page = alloc_request((struct request) {
			.gfp = gfp | __GFP_NOWARN,
			.order = order,
			.nid = nid,
			.nodemask = nodemask,
			.easy = true,
		});
		nodemask = NULL;
	}
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
	/* The task's policy then; most often there is none either. */
	gfp |= __GFP_COMP;
	return page_rmappable_folio(alloc_pages_task(gfp, order));
}

/* === Many pages at once ================================================== */

/* Hand out up to @nr pages of a zone; returns how many there were. */
static unsigned long take_more(struct unmapped_zone *uz, unsigned int nr,
			       gfp_t gfp, struct page **pages)
{
	struct llist_node *list = NULL, *last = NULL, *node;
	unsigned long got = 0;
	struct page *page;

	if (!nr || !unmapped_zone_take_bulk(uz, nr, &list, &last))
		return 0;

	while ((node = list)) {
		page = llist_entry(node, struct page, pcp_llist);
		list = node->next;
		if (unlikely(PageHWPoison(page))) {
			unmapped_zone_put(uz, page, 0);
			continue;
		}
		pages[got] = hand_out(page, 0, gfp);
		if (!pages[got])
			break;
		got++;
	}
	if (list)
		unmapped_zone_put_bulk(uz, list);
	return got;
}

/*
 * Each round asks for one page in the ordinary way, which knows about policies
 * and cpusets and refills the cache, and takes more from where that came from.
 */
unsigned long unmapped_pages_alloc_bulk_noprof(gfp_t gfp, int nid,
					       nodemask_t *nodemask,
					       unsigned long nr_pages,
					       struct page **pages)
{
	struct request r = {
		.gfp = gfp,
		.nid = nid == NUMA_NO_NODE ? numa_mem_id() : nid,
		.nodemask = nodemask,
	};
	unsigned long got = 0;

	while (got < nr_pages) {
		r.nr_pages = nr_pages - got;
		pages[got] = alloc_request(r);
		if (!pages[got])
			break;
		got++;
		got += take_more(unmapped_page_zone(pages[got - 1]),
				 min(nr_pages - got, UNMAPPED_BLOCK_PAGES),
				 gfp, pages + got);
	}
	return got;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_bulk_noprof);

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

void unmapped_folio_clear(struct folio *folio)
{
	unsigned long flags;
	long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		/* A poisoned page must not be touched. */
		if (unlikely(PageHWPoison(folio_page(folio, i))))
			continue;
		local_irq_save(flags);
		unmapped_clear_page(folio_page(folio, i));
		local_irq_restore(flags);
	}
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_folio_clear);

void unmapped_free_folio(struct folio *folio)
{
	/* The page cache still has one for each page, and our caller one. */
	if (folio_ref_count(folio) > folio_nr_pages(folio) + 1)
		unmapped_folio_clear(folio);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_free_folio);

static void put_chunk(struct unmapped_zone *uz, struct page *page,
		      unsigned int order, enum unmapped_kind kind)
{
	unsigned long i, flags;

	for (i = 0; kind != UNMAPPED_NOZERO && i < 1UL << order; i++) {
		/* A poisoned page must not be touched, not even to clear it. */
		if (unlikely(PageHWPoison(page + i)))
			continue;
		local_irq_save(flags);
		unmapped_clear_page(page + i);
		local_irq_restore(flags);
	}
	unmapped_zone_put(uz, page, order);
}

static void put_deferred(struct irq_work *work)
{
	struct unmapped_zone *uz = container_of(work, struct unmapped_zone,
						deferred_work);
	struct llist_node *list = llist_del_all(&uz->deferred);
	struct page *page, *next;
	unsigned int order;

	llist_for_each_entry_safe(page, next, list, pcp_llist) {
		order = page_private(page);
		set_page_private(page, 0);
		put_chunk(uz, page, order, unmapped_kind(page));
	}
}

static noinline bool catch_other(struct page *page, unsigned int order,
				 unsigned long flags, bool nolock)
{
	enum unmapped_kind kind = unmapped_kind_flags(page, flags);
	struct unmapped_zone *uz;

	if (kind == UNMAPPED_NONE)
		return false;

	uz = unmapped_page_zone(page);
	charge_cache(1L << order);
	if (unlikely(nolock)) {
		set_page_private(page, order);
		if (llist_add(&page->pcp_llist, &uz->deferred))
			irq_work_queue(&uz->deferred_work);
	} else if (kind == UNMAPPED_FRAGMENT && !order && !PageHWPoison(page)) {
		pcp_put(uz, page);
	} else {
		put_chunk(uz, page, order, kind);
	}
	return true;
}

/**
 * unmapped_alloc_catch() - take a page back that is being freed
 * @page: first page, without a reference, checked and prepared for being free.
 * @order: order that it is freed with.
 * @flags: flags of its pageblock, one of UNMAPPED_PAGEBLOCK_MASK among them.
 * @nolock: no lock may be taken here.
 *
 * Called by the page allocator.
 *
 * Context: Any context; NMI only with @nolock.
 * Return: true if the page was the allocator's, and has been dealt with.
 */
bool unmapped_alloc_catch(struct page *page, unsigned int order,
			  unsigned long flags, bool nolock)
{
	if (unlikely(!(flags & BIT(PB_unmapped_block))) ||
	    unlikely(flags & BIT(PB_unmapped_nozero)) || unlikely(order) ||
	    unlikely(nolock) || unlikely(PageHWPoison(page)))
		return catch_other(page, order, flags, nolock);

	/* The common case: a single page of a block. */
	charge_cache(1);
	pcp_put(unmapped_page_zone(page), page);
	return true;
}

/* === Questions =========================================================== */

bool unmapped_page(const struct page *page)
{
	return unmapped_kind(page) != UNMAPPED_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page);

/* === Boot ================================================================ */

static void __init free_node(struct unmapped_node *node)
{
	int i;

	if (!node)
		return;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_zone_exit(&node->zones[i]);
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
	for (i = 0; i < UNMAPPED_NR_ZONES; i++) {
		init_irq_work(&node->zones[i].deferred_work, put_deferred);
		if (unmapped_zone_init(&node->zones[i]))
			goto fail;
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

static int __init unmapped_alloc_init(void)
{
	int err;

	/* The bit of a pageblock must not speak for more than a block. */
	if (!can_set_direct_map() || pageblock_order > PMD_ORDER)
		return 0;

	err = unmapped_window_init();
	if (!err)
		err = init_nodes();
	if (!err)
		err = unmapped_release_init();
	if (err) {
		free_nodes();
		pr_err("not available, error %d\n", err);
		return err;
	}

	/* If it fails, the pages of a dead CPU's list wait for a drain. */
	cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "mm/unmapped_alloc:dead",
				  NULL, drain_dead_cpu);
	unmapped_alloc_ready = true;
	return 0;
}
core_initcall(unmapped_alloc_init);
