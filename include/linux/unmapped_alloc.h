/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 *
 * See Documentation/mm/unmapped_alloc.rst for usage and design.
 */
#ifndef _LINUX_UNMAPPED_ALLOC_H
#define _LINUX_UNMAPPED_ALLOC_H

#include <linux/alloc_tag.h>
#include <linux/cleanup.h>
#include <linux/gfp_types.h>
#include <linux/irqflags.h>
#include <linux/nodemask_types.h>
#include <linux/types.h>

struct folio;
struct mempolicy;
struct page;
struct vm_area_struct;

#ifdef CONFIG_UNMAPPED_ALLOC

extern bool unmapped_alloc_ready;

/**
 * unmapped_alloc_available() - can this boot hand out unmapped pages?
 *
 * The answer does not change once the initcalls have run, so that a consumer
 * may pick its way of working by it.
 *
 * Context: Any context.
 * Return: true if the direct map can be changed and the allocator is ready.
 */
static inline bool unmapped_alloc_available(void)
{
	return unmapped_alloc_ready;
}

struct page *unmapped_pages_alloc_noprof(gfp_t gfp, unsigned int order);
struct page *unmapped_pages_alloc_nodemask_noprof(gfp_t gfp, unsigned int order,
						  int nid,
						  nodemask_t *nodemask);

/**
 * unmapped_pages_alloc_nodemask() - allocate pages absent from the direct map
 * @gfp: GFP_* flags, see below.
 * @order: 2^@order contiguous pages, naturally aligned; 0 to PMD_ORDER.
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 * @nodemask: nodes that are allowed, NULL for all.
 *
 * The pages are zeroed, and no CPU has a translation for them in the direct
 * map. The kernel can't reach them through page_address(); user space can have
 * them mapped, devices can access them. As with alloc_pages(), pages of an
 * order above 0 are only then one compound page if @gfp has __GFP_COMP.
 *
 * Flags mean what they mean for alloc_pages(), with these exceptions.
 * __GFP_ZERO is implied. __GFP_HIGHMEM is ignored: there is no direct map to
 * be absent from. __GFP_MOVABLE, __GFP_RECLAIMABLE, __GFP_NOFAIL,
 * __GFP_SKIP_ZERO and __GFP_ZEROTAGS make no sense and cause a warning with
 * CONFIG_DEBUG_VM: the memory is unmovable, zeroed, and may be impossible to
 * unmap.
 *
 * Context: Any context except NMI, may sleep if @gfp allows blocking. If it
 * does not, only pages that are unmapped already can be had.
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc_nodemask(gfp, order, nid, nodemask) \
	alloc_hooks(unmapped_pages_alloc_nodemask_noprof(gfp, order, nid, \
							 nodemask))

/**
 * unmapped_pages_alloc_node() - allocate unmapped pages from a node
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @order: 2^@order contiguous pages; 0 to PMD_ORDER.
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc_node(gfp, order, nid) \
	unmapped_pages_alloc_nodemask(gfp, order, nid, NULL)

/**
 * unmapped_pages_alloc() - allocate unmapped pages
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @order: 2^@order contiguous pages; 0 to PMD_ORDER.
 *
 * From where the memory policy of the task says, as alloc_pages().
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc(gfp, order) \
	alloc_hooks(unmapped_pages_alloc_noprof(gfp, order))

struct page *unmapped_pages_alloc_nozero_noprof(gfp_t gfp, unsigned int order,
						int nid, nodemask_t *nodemask);

/**
 * unmapped_pages_alloc_nozero() - allocate unmapped pages, contents don't matter
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @order: 2^@order contiguous pages; 0 to PMD_ORDER.
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 * @nodemask: nodes that are allowed, NULL for all.
 *
 * For memory that the kernel neither can nor need clear, such as a confidential
 * guest's. The pages come from blocks of their own as far as possible, and are
 * not cleared when they are freed. So they hold what was left in them by others
 * who asked for pages in this way, or zeroes; never what anybody else left.
 * Whoever leaves plain data in such pages shows it to the next one. Once a
 * block of them is free as a whole and goes back to the page allocator, it is
 * cleared.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc_nozero(gfp, order, nid, nodemask) \
	alloc_hooks(unmapped_pages_alloc_nozero_noprof(gfp, order, nid, \
						       nodemask))

unsigned long unmapped_pages_alloc_bulk_noprof(gfp_t gfp, int nid,
					       nodemask_t *nodemask,
					       unsigned long nr_pages,
					       struct page **pages);

/**
 * unmapped_pages_alloc_bulk() - allocate many single unmapped pages
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr_pages: how many pages.
 * @pages: where to put them.
 *
 * As so many calls of unmapped_pages_alloc_nodemask(), in few rounds: locks
 * are taken, and blocks unmapped, for many pages at once. The pages are
 * contiguous as far as possible, but are single pages.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: how many pages were put to @pages; less than @nr_pages if there was
 * no memory for more.
 */
#define unmapped_pages_alloc_bulk(gfp, nid, nodemask, nr_pages, pages) \
	alloc_hooks(unmapped_pages_alloc_bulk_noprof(gfp, nid, nodemask, \
						     nr_pages, pages))

unsigned long unmapped_pages_alloc_bulk_mpol_noprof(gfp_t gfp,
						    struct mempolicy *pol,
						    unsigned long nr_pages,
						    struct page **pages);

/**
 * unmapped_pages_alloc_bulk_mpol() - allocate many single unmapped pages by a
 *	memory policy
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @pol: the policy, NULL for the task's.
 * @nr_pages: how many pages.
 * @pages: where to put them.
 *
 * As unmapped_pages_alloc_bulk(). A policy that decides page by page
 * (interleaving) is followed page by page, in more rounds.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: how many pages were put to @pages; less than @nr_pages if there was
 * no memory for more.
 */
#define unmapped_pages_alloc_bulk_mpol(gfp, pol, nr_pages, pages) \
	alloc_hooks(unmapped_pages_alloc_bulk_mpol_noprof(gfp, pol, nr_pages, \
							  pages))

struct folio *unmapped_folio_alloc_noprof(gfp_t gfp, unsigned int order);

/**
 * unmapped_folio_alloc() - allocate a folio absent from the direct map
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); __GFP_COMP is
 *	implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 *
 * From where the memory policy of the task says, as folio_alloc(). The last
 * folio_put() gives the memory back to the allocator, from whatever context it
 * comes.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_folio_alloc(gfp, order) \
	alloc_hooks(unmapped_folio_alloc_noprof(gfp, order))

struct folio *unmapped_vma_folio_alloc_noprof(gfp_t gfp, unsigned int order,
					      struct vm_area_struct *vma,
					      unsigned long addr);

/**
 * unmapped_vma_folio_alloc() - allocate an unmapped folio for a VMA
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); __GFP_COMP is
 *	implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 * @vma: the VMA, whose memory policy says from where.
 * @addr: address in it.
 *
 * What vma_alloc_folio() is to folio_alloc().
 *
 * Context: As unmapped_pages_alloc_nodemask(); the VMA can't go away.
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_vma_folio_alloc(gfp, order, vma, addr) \
	alloc_hooks(unmapped_vma_folio_alloc_noprof(gfp, order, vma, addr))

struct folio *unmapped_folio_alloc_mpol_noprof(gfp_t gfp, unsigned int order,
					       struct mempolicy *pol,
					       pgoff_t ilx, int nid);

/**
 * unmapped_folio_alloc_mpol() - allocate an unmapped folio by a memory policy
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); __GFP_COMP is
 *	implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 * @pol: the policy, from get_vma_policy() or the like.
 * @ilx: index for interleaving, from the same place.
 * @nid: preferred node, usually numa_node_id(); the policy may override it.
 *
 * What folio_alloc_mpol() is to folio_alloc().
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_folio_alloc_mpol(gfp, order, pol, ilx, nid) \
	alloc_hooks(unmapped_folio_alloc_mpol_noprof(gfp, order, pol, ilx, nid))

/**
 * unmapped_pages_free() - give pages back
 * @page: first page, from unmapped_pages_alloc() and the like.
 * @order: the order that was allocated.
 *
 * Drops a reference. When it is the last one the contents are cleared before
 * the call returns, and the pages stay out of the direct map, ready for the
 * next allocation. Pages that somebody else still has a reference to are given
 * back when that reference is dropped.
 *
 * Context: Any context except NMI.
 */
void unmapped_pages_free(struct page *page, unsigned int order);

/**
 * unmapped_folio_clear() - clear a folio that is absent from the direct map
 * @folio: the folio, from unmapped_folio_alloc().
 *
 * Freeing clears anyway. This is for an owner who wants the contents to be
 * gone now, whoever else still has a reference. Interrupts are off while a
 * page is cleared, one page at a time.
 *
 * Context: Any context except NMI.
 */
void unmapped_folio_clear(struct folio *folio);

/**
 * unmapped_free_folio() - address_space_operations.free_folio for such folios
 * @folio: the folio, just removed from the page cache.
 *
 * A folio is cleared when its last reference is dropped. That is next, unless
 * somebody else has one besides the page cache and our caller, such as a CPU's
 * batch of folios on their way to the LRU. The contents must not wait for that.
 *
 * Context: Any context except NMI.
 */
void unmapped_free_folio(struct folio *folio);

/**
 * unmapped_page() - is this page one of the unmapped page allocator's?
 * @page: any page.
 *
 * True for pages that are handed out and for free pages in the cache. Only
 * then stable when the caller has a reference to @page.
 *
 * Context: Any context.
 * Return: true if @page must not be accessed through the direct map.
 */
bool unmapped_page(const struct page *page);

/**
 * unmapped_page_vmap() - map an unmapped page for longer
 * @page: a page that the caller has a reference to.
 *
 * For accesses from any CPU and context until unmapped_page_vunmap(). Such a
 * mapping is what the page was to be kept from: only for pages whose owner
 * shares them with the kernel, such as a VM's clock page. Has a reference to
 * the page of its own, so that nobody else can be its owner meanwhile.
 *
 * Context: Process context, may sleep.
 * Return: the address, NULL if there is no memory.
 */
void *unmapped_page_vmap(struct page *page);

/**
 * unmapped_page_vunmap() - undo unmapped_page_vmap()
 * @addr: what it returned.
 *
 * Flushes the TLBs of all CPUs: no translation is left when this returns.
 *
 * Context: Process context, may sleep.
 */
void unmapped_page_vunmap(const void *addr);

/**
 * unmapped_page_map() - map an unmapped page for this CPU only
 * @page: any page, in the direct map or not.
 *
 * For the rare access of the kernel. Better use CLASS(unmapped_map).
 *
 * There is one such mapping for each CPU: calls do not nest, and nothing may be
 * freed to the allocator before unmapped_page_unmap().
 *
 * Context: Any context except NMI. Interrupts are off, and stay so until
 * unmapped_page_unmap().
 * Return: the address. Other CPUs must not use it.
 */
void *unmapped_page_map(struct page *page);

/**
 * unmapped_page_unmap() - undo unmapped_page_map()
 *
 * The page can't be reached through the address any more on any CPU.
 *
 * Context: Interrupts off since unmapped_page_map().
 */
void unmapped_page_unmap(void);

struct unmapped_map {
	void *addr;
	unsigned long flags;
};

static inline struct unmapped_map unmapped_map_begin(struct page *page)
{
	struct unmapped_map map;

	local_irq_save(map.flags);
	map.addr = unmapped_page_map(page);
	return map;
}

static inline void unmapped_map_end(const struct unmapped_map *map)
{
	unmapped_page_unmap();
	local_irq_restore(map->flags);
}

/*
 * CLASS(unmapped_map, map)(page): map a page until the end of the scope, with
 * interrupts off. Its address is map.addr.
 */
DEFINE_CLASS(unmapped_map, struct unmapped_map, unmapped_map_end(&_T),
	     unmapped_map_begin(page), struct page *page)

#else /* CONFIG_UNMAPPED_ALLOC */

static inline bool unmapped_alloc_available(void)
{
	return false;
}

static inline struct page *
unmapped_pages_alloc_nodemask(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	return NULL;
}

static inline struct page *
unmapped_pages_alloc_nozero(gfp_t gfp, unsigned int order, int nid,
			    nodemask_t *nodemask)
{
	return NULL;
}

static inline struct page *
unmapped_pages_alloc_node(gfp_t gfp, unsigned int order, int nid)
{
	return NULL;
}

static inline struct page *unmapped_pages_alloc(gfp_t gfp, unsigned int order)
{
	return NULL;
}

static inline unsigned long
unmapped_pages_alloc_bulk(gfp_t gfp, int nid, nodemask_t *nodemask,
			  unsigned long nr_pages, struct page **pages)
{
	return 0;
}

static inline struct folio *
unmapped_folio_alloc(gfp_t gfp, unsigned int order)
{
	return NULL;
}

static inline struct folio *
unmapped_vma_folio_alloc(gfp_t gfp, unsigned int order,
			 struct vm_area_struct *vma, unsigned long addr)
{
	return NULL;
}

static inline struct folio *
unmapped_folio_alloc_mpol(gfp_t gfp, unsigned int order, struct mempolicy *pol,
			  pgoff_t ilx, int nid)
{
	return NULL;
}

static inline unsigned long
unmapped_pages_alloc_bulk_mpol(gfp_t gfp, struct mempolicy *pol,
			       unsigned long nr_pages, struct page **pages)
{
	return 0;
}

static inline void unmapped_pages_free(struct page *page, unsigned int order)
{
}

static inline void unmapped_folio_clear(struct folio *folio)
{
}

static inline void unmapped_free_folio(struct folio *folio)
{
}

static inline bool unmapped_page(const struct page *page)
{
	return false;
}

static inline void *unmapped_page_vmap(struct page *page)
{
	return NULL;
}

static inline void unmapped_page_vunmap(const void *addr)
{
}

#endif /* CONFIG_UNMAPPED_ALLOC */

#endif /* _LINUX_UNMAPPED_ALLOC_H */
