/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 *
 * See Documentation/mm/unmapped_alloc.rst for usage and design.
 */
#ifndef _LINUX_UNMAPPED_ALLOC_H
#define _LINUX_UNMAPPED_ALLOC_H

#include <linux/alloc_tag.h>
#include <linux/export.h>
#include <linux/gfp_types.h>
#include <linux/nodemask_types.h>
#include <linux/types.h>

struct address_space;
struct folio;
struct mempolicy;
struct page;
struct vm_area_struct;

/* These can modify kernel text: export them only to the test, if it is built. */
#if IS_ENABLED(CONFIG_UNMAPPED_ALLOC_KUNIT_TEST)
#define EXPORT_SYMBOL_FOR_UNMAPPED_TEST(symbol)				\
	EXPORT_SYMBOL_FOR_MODULES(symbol, "unmapped_alloc_kunit")
#else
#define EXPORT_SYMBOL_FOR_UNMAPPED_TEST(symbol)
#endif

#ifdef CONFIG_UNMAPPED_ALLOC

extern bool unmapped_alloc_ready;

/**
 * unmapped_alloc_available() - can unmapped pages be allocated on this boot?
 *
 * The result does not change once the initcalls have run, so consumers can rely
 * on it.
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
 * The pages are zeroed, and no CPU has a direct map translation for them. The
 * kernel can't access them through page_address(); they can be mapped to user
 * space, and devices can access them. As with alloc_pages(), pages of an order
 * above 0 form a compound page only if @gfp includes __GFP_COMP.
 *
 * The flags have the same meaning as for alloc_pages(), with these exceptions.
 * __GFP_ZERO is implied. __GFP_HIGHMEM is ignored: highmem has no direct map to
 * be absent from. __GFP_MOVABLE, __GFP_RECLAIMABLE, __GFP_NOFAIL,
 * __GFP_SKIP_ZERO and __GFP_ZEROTAGS make no sense and cause a warning with
 * CONFIG_DEBUG_VM: the memory is unmovable and zeroed, and unmapping it may
 * fail.
 *
 * Context: Any context except NMI; may sleep if @gfp allows blocking, otherwise
 * pages come from the cache only. Clearing a large chunk takes time, even if
 * the caller has interrupts off.
 * Return: the first page, with a reference count of 1, or NULL if there is no
 * memory, or if the task was killed while it waited for another task to refill
 * the cache.
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
 * Follows the memory policy of the task, like alloc_pages().
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc(gfp, order) \
	alloc_hooks(unmapped_pages_alloc_noprof(gfp, order))

unsigned long unmapped_pages_alloc_bulk_noprof(gfp_t gfp, int nid,
					       nodemask_t *nodemask,
					       unsigned long nr_pages,
					       struct page **pages);

/**
 * unmapped_pages_alloc_bulk() - allocate many unmapped order-0 pages
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 * @nodemask: nodes that are allowed, NULL for all.
 * @nr_pages: number of pages.
 * @pages: array to store them in.
 *
 * Like @nr_pages calls of unmapped_pages_alloc_nodemask(), but in few rounds:
 * locks are taken, and blocks are unmapped, for many pages at once. The pages
 * are contiguous as far as possible, but they are separate order-0 pages.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the number of pages stored in @pages; fewer than @nr_pages if there
 * was no memory for more.
 */
#define unmapped_pages_alloc_bulk(gfp, nid, nodemask, nr_pages, pages) \
	alloc_hooks(unmapped_pages_alloc_bulk_noprof(gfp, nid, nodemask, \
						     nr_pages, pages))

struct page *unmapped_pages_alloc_spare_noprof(gfp_t gfp, unsigned int order,
					       int nid);

/**
 * unmapped_pages_alloc_spare() - allocate unmapped pages if they can be spared
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @order: 2^@order contiguous pages; 0 to PMD_ORDER.
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 *
 * For callers that can do with ordinary memory: takes pages that are cached, or of
 * blocks that are free, but neither reclaims nor compacts memory, whatever @gfp
 * allows, nor splits the direct map for less than a block.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_pages_alloc_spare(gfp, order, nid) \
	alloc_hooks(unmapped_pages_alloc_spare_noprof(gfp, order, nid))

unsigned long unmapped_pages_alloc_bulk_spare_noprof(gfp_t gfp, int nid,
						     unsigned long nr_pages,
						     struct page **pages);

/**
 * unmapped_pages_alloc_bulk_spare() - allocate many unmapped order-0 pages if
 *	they can be spared
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @nid: node to allocate from, or NUMA_NO_NODE for the nearest with memory.
 * @nr_pages: number of pages.
 * @pages: array to store them in.
 *
 * To unmapped_pages_alloc_bulk() what unmapped_pages_alloc_spare() is to
 * unmapped_pages_alloc().
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the number of pages stored in @pages; fewer than @nr_pages if no more
 * can be spared.
 */
#define unmapped_pages_alloc_bulk_spare(gfp, nid, nr_pages, pages) \
	alloc_hooks(unmapped_pages_alloc_bulk_spare_noprof(gfp, nid, nr_pages, \
							   pages))

unsigned long unmapped_pages_alloc_bulk_mpol_noprof(gfp_t gfp,
						    struct mempolicy *pol,
						    unsigned long nr_pages,
						    struct page **pages);

/**
 * unmapped_pages_alloc_bulk_mpol() - allocate many unmapped order-0 pages by
 *	memory policy
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask().
 * @pol: the policy, NULL for the task's.
 * @nr_pages: number of pages.
 * @pages: array to store them in.
 *
 * Like unmapped_pages_alloc_bulk(). A policy that selects the node page by
 * page, such as interleaving, takes a separate allocation for each page.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the number of pages stored in @pages; fewer than @nr_pages if there
 * was no memory for more.
 */
#define unmapped_pages_alloc_bulk_mpol(gfp, pol, nr_pages, pages) \
	alloc_hooks(unmapped_pages_alloc_bulk_mpol_noprof(gfp, pol, nr_pages, \
							  pages))

struct page *unmapped_block_alloc_noprof(gfp_t gfp);

/**
 * unmapped_block_alloc() - allocate a block that the caller overwrites
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); neither __GFP_COMP
 *	nor __GFP_ACCOUNT.
 *
 * 2^PMD_ORDER contiguous pages, which are not cleared. They have what they had
 * in the page allocator, or what others wrote before unmapped_block_free(). The
 * caller must overwrite all of them before anyone else can read any.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the first page, with a reference count of 1, or NULL.
 */
#define unmapped_block_alloc(gfp) \
	alloc_hooks(unmapped_block_alloc_noprof(gfp))

struct folio *unmapped_folio_alloc_noprof(gfp_t gfp, unsigned int order);

/**
 * unmapped_folio_alloc() - allocate a folio absent from the direct map
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); __GFP_COMP is
 *	implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 *
 * Follows the memory policy of the task, like folio_alloc(). The last
 * folio_put() returns the memory to the allocator, in any context except NMI.
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
 * @vma: the VMA whose memory policy applies.
 * @addr: address in @vma.
 *
 * The counterpart of vma_alloc_folio() for unmapped folios.
 *
 * Context: As unmapped_pages_alloc_nodemask(); the caller keeps @vma from going
 * away.
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_vma_folio_alloc(gfp, order, vma, addr) \
	alloc_hooks(unmapped_vma_folio_alloc_noprof(gfp, order, vma, addr))

struct folio *unmapped_folio_alloc_mpol_noprof(gfp_t gfp, unsigned int order,
					       struct mempolicy *pol,
					       pgoff_t ilx, int nid);

/**
 * unmapped_folio_alloc_mpol() - allocate an unmapped folio by memory policy
 * @gfp: GFP_* flags, see unmapped_pages_alloc_nodemask(); __GFP_COMP is
 *	implied.
 * @order: order of the folio; 0 to PMD_ORDER.
 * @pol: the policy, from get_vma_policy() or similar.
 * @ilx: interleave index, from the same source.
 * @nid: preferred node, usually numa_node_id(); the policy may override it.
 *
 * The counterpart of folio_alloc_mpol() for unmapped folios.
 *
 * Context: As unmapped_pages_alloc_nodemask().
 * Return: the folio, with a reference count of 1, or NULL.
 */
#define unmapped_folio_alloc_mpol(gfp, order, pol, ilx, nid) \
	alloc_hooks(unmapped_folio_alloc_mpol_noprof(gfp, order, pol, ilx, nid))

/**
 * unmapped_pages_free() - free unmapped pages
 * @page: first page, from unmapped_pages_alloc() or similar.
 * @order: the order that was allocated.
 *
 * Drops a reference. If it was the last one, the contents are cleared before
 * the call returns, and the pages stay out of the direct map, ready for the
 * next allocation. If there are other references, order-0 and compound pages are
 * freed when the last one of them is dropped. Of others, only the first page is
 * kept until then, as by __free_pages().
 *
 * Context: Any context except NMI; with PREEMPT_RT one that can be preempted, as
 * for __free_pages().
 */
void unmapped_pages_free(struct page *page, unsigned int order);

/**
 * unmapped_block_free() - free a block that the caller has overwritten
 * @page: first page, from unmapped_block_alloc().
 *
 * Like unmapped_pages_free(), but does not clear the block if nobody else has a
 * reference. The caller has overwritten all that it has ever stored there,
 * with something that anyone may know, and has unmapped it. The pages are
 * cleared when they are handed out again.
 *
 * Context: Any context except NMI.
 */
void unmapped_block_free(struct page *page);

/**
 * unmapped_free_folio() - free_folio operation of files with unmapped folios
 * @folio: the folio, just removed from the page cache.
 *
 * A folio is cleared when its last reference is dropped. That happens next,
 * unless there is a reference besides those of the page cache and the caller,
 * such as that of a per-CPU batch of folios to be added to the LRU. The
 * contents must not survive until that one is dropped, so clear the folio now.
 *
 * Context: Any context except NMI.
 */
void unmapped_free_folio(struct folio *folio);

/**
 * unmapped_truncate_range() - remove a range from a file with unmapped folios
 * @mapping: the file's page cache. All of its folios are unmapped ones.
 * @start: first page.
 * @end: the page behind the last one.
 *
 * Like truncate_inode_pages_range(), for files whose contents are nowhere else.
 * A large folio that is partly in the range is split, so that the part in the
 * range can be freed. If it can't be split, because it has other references or
 * there is no memory, that part is cleared and stays in the file. Nothing outside
 * of the range is affected.
 *
 * The caller prevents large folios from being added at the same time.
 *
 * Context: Process context, may sleep.
 */
void unmapped_truncate_range(struct address_space *mapping, pgoff_t start,
			     pgoff_t end);

/**
 * unmapped_page() - does a page belong to the unmapped page allocator?
 * @page: any page.
 *
 * True for pages that are handed out and for free pages in the cache. Stable
 * only while the caller holds a reference to @page.
 *
 * Context: Any context.
 * Return: true if @page must not be accessed through the direct map.
 */
bool unmapped_page(const struct page *page);

/**
 * unmapped_pfn() - does a page frame belong to the unmapped page allocator?
 * @pfn: any page frame number, also of what is no memory.
 *
 * As unmapped_page(), for those who follow page tables.
 *
 * Context: Any context.
 * Return: true if it must not be accessed through the direct map.
 */
bool unmapped_pfn(unsigned long pfn);

/**
 * memcpy_from_unmapped_page() - copy from a page absent from the direct map
 * @to: where to.
 * @page: a page for which unmapped_page() is true, to which the caller holds a
 *	reference.
 * @offset: offset in the page.
 * @len: number of bytes, not beyond the end of the page.
 *
 * Copies through a mapping private to this CPU, with interrupts off. The direct
 * map is not changed, and no other CPU's TLB is flushed.
 *
 * Context: Any context except NMI.
 */
void memcpy_from_unmapped_page(void *to, struct page *page, size_t offset,
			       size_t len);

/**
 * memcpy_to_unmapped_page() - copy to a page absent from the direct map
 * @page: a page for which unmapped_page() is true, to which the caller holds a
 *	reference.
 * @offset: offset in the page.
 * @from: where from.
 * @len: number of bytes, not beyond the end of the page.
 *
 * The counterpart of memcpy_from_unmapped_page().
 *
 * Context: Any context except NMI.
 */
void memcpy_to_unmapped_page(struct page *page, size_t offset, const void *from,
			     size_t len);

/**
 * unmapped_page_used() - is an unmapped page in use?
 * @page: a page for which unmapped_page() is true. It need not have a reference.
 *
 * For statistics: another CPU may allocate or free the page meanwhile.
 *
 * Context: Any context.
 * Return: true if it is not free in the cache. Tail pages of what is neither
 * compound nor split count as free unless unmapped_image_allow() was called.
 */
bool unmapped_page_used(const struct page *page);

/**
 * unmapped_alloc_meminfo() - how much memory the allocator has
 * @nid: the node, NUMA_NO_NODE for all of them.
 * @nr_pages: set to the number of pages that are absent from the direct map.
 * @nr_free: set to the number of those that are free in the cache.
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_meminfo(int nid, unsigned long *nr_pages,
			    unsigned long *nr_free);

/**
 * unmapped_page_vmap() - long-term mapping of an unmapped page
 * @page: a page to which the caller holds a reference.
 *
 * The mapping can be used on any CPU and in any context until
 * unmapped_page_vunmap(). It defeats the purpose of an unmapped page: use it
 * only for pages that their owner shares with the kernel, such as the page of a
 * VM's clock. It holds a reference to the page, which can't get another owner
 * in the meantime.
 *
 * Context: Process context, may sleep.
 * Return: the address, or NULL if there is no memory.
 */
void *unmapped_page_vmap(struct page *page);

/**
 * unmapped_page_vunmap() - undo unmapped_page_vmap()
 * @addr: address returned by unmapped_page_vmap().
 *
 * Removing a mapping takes a flush of all CPUs' TLBs, so up to
 * UNMAPPED_VMAP_BATCH mappings are removed at a time, at the latest a second
 * later. Until then, the mapping keeps its reference to the page. If the page is
 * to be freed, the caller sees to it that its contents are gone, as
 * unmapped_free_folio() does for files.
 *
 * Context: Process context, may sleep.
 */
void unmapped_page_vunmap(const void *addr);

/**
 * unmapped_page_vunmap_flush() - remove all mappings that were dropped
 *
 * For the owner of many pages, when it goes away: no page that it freed has a
 * reference of a mapping that was passed to unmapped_page_vunmap() before. Takes
 * one flush of all CPUs' TLBs, or none if there is no such mapping.
 *
 * Context: Process context, may sleep.
 */
void unmapped_page_vunmap_flush(void);

/* How many mappings are removed with one flush; as many pages may wait for it. */
#define UNMAPPED_VMAP_BATCH	64

/**
 * unmapped_image_check() - do pages in use prevent a hibernation image?
 *
 * A page in use must not be written to disk, unless its owner has said that it
 * may. If there are any, the log says how much each consumer uses, and names
 * processes that have such memory open or mapped.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EBUSY if pages are in use that must not be in an image, or that
 * have a hardware error.
 */
int unmapped_image_check(void);

/**
 * unmapped_image_allow() - let pages be part of a hibernation image
 * @page: first page, from unmapped_pages_alloc() or similar.
 * @order: the order that was allocated.
 *
 * Unless a consumer says so, its pages must not be written to disk, and prevent
 * hibernation. Use this for memory that is out of the direct map for another
 * reason than that it is secret, such as kernel text, which is also in a file.
 *
 * Takes page->private of all pages; of the first one, if they form a compound
 * page. Undo it before the pages are freed.
 *
 * Context: Any context.
 */
void unmapped_image_allow(struct page *page, unsigned int order);

/**
 * unmapped_image_deny() - undo unmapped_image_allow()
 * @page: first page.
 * @order: the order that was passed to unmapped_image_allow().
 *
 * Does nothing if it was not called.
 *
 * Context: Any context.
 */
void unmapped_image_deny(struct page *page, unsigned int order);

/**
 * unmapped_image_allowed() - may an unmapped page be in an image?
 * @page: a page in use for which unmapped_page() is true.
 *
 * Context: Any context.
 * Return: whether its consumer called unmapped_image_allow().
 */
bool unmapped_image_allowed(const struct page *page);

/**
 * unmapped_image_prepare() - prepare for a hibernation image
 *
 * Empties the cache if unmapped_image_check() allows that. The free part of blocks
 * in use stays, and is in the image as zeroes. User space should be frozen;
 * otherwise it may reuse memory meanwhile. Allocations are possible meanwhile
 * and afterwards, see unmapped_image_ready().
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EBUSY if pages are in use that must not be in an image.
 */
int unmapped_image_prepare(void);

/**
 * unmapped_image_ready() - can a hibernation image be created right now?
 *
 * The result is only stable while nothing else can run.
 *
 * Context: Any context except NMI.
 * Return: true if all pages in use may be in an image, none has a hardware error,
 * and none is on its way from or to the page allocator.
 */
bool unmapped_image_ready(void);

/**
 * unmapped_image_copy() - copy an unmapped page to a hibernation image
 * @dst: where to, PAGE_SIZE bytes that are in the direct map.
 * @page: a page for which unmapped_page() is true.
 *
 * Copies through a mapping private to this CPU. The direct map is not changed,
 * and no other CPU's TLB is flushed. If @page may not be in an image, @dst is
 * filled with zeroes.
 *
 * Context: Any context except NMI.
 */
void unmapped_image_copy(void *dst, struct page *page);

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

static inline struct page *
unmapped_pages_alloc_spare(gfp_t gfp, unsigned int order, int nid)
{
	return NULL;
}

static inline unsigned long
unmapped_pages_alloc_bulk_spare(gfp_t gfp, int nid, unsigned long nr_pages,
				struct page **pages)
{
	return 0;
}

static inline struct page *unmapped_block_alloc(gfp_t gfp)
{
	return NULL;
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

static inline void unmapped_block_free(struct page *page)
{
}

static inline void unmapped_free_folio(struct folio *folio)
{
}

static inline void unmapped_truncate_range(struct address_space *mapping,
					   pgoff_t start, pgoff_t end)
{
}

static inline bool unmapped_page(const struct page *page)
{
	return false;
}

static inline bool unmapped_page_used(const struct page *page)
{
	return false;
}

static inline bool unmapped_pfn(unsigned long pfn)
{
	return false;
}

static inline void memcpy_from_unmapped_page(void *to, struct page *page,
					     size_t offset, size_t len)
{
}

static inline void memcpy_to_unmapped_page(struct page *page, size_t offset,
					   const void *from, size_t len)
{
}

static inline void *unmapped_page_vmap(struct page *page)
{
	return NULL;
}

static inline void unmapped_page_vunmap(const void *addr)
{
}

static inline void unmapped_page_vunmap_flush(void)
{
}

static inline int unmapped_image_check(void)
{
	return 0;
}

static inline void unmapped_image_allow(struct page *page, unsigned int order)
{
}

static inline void unmapped_image_deny(struct page *page, unsigned int order)
{
}

static inline bool unmapped_image_allowed(const struct page *page)
{
	return true;
}

static inline int unmapped_image_prepare(void)
{
	return 0;
}

static inline bool unmapped_image_ready(void)
{
	return true;
}

static inline void unmapped_image_copy(void *dst, struct page *page)
{
}

#endif /* CONFIG_UNMAPPED_ALLOC */

#endif /* _LINUX_UNMAPPED_ALLOC_H */
