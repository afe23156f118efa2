// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA buffers that the kernel can't access: pages of the unmapped page allocator
 * for DMA_ATTR_NO_KERNEL_MAPPING.
 *
 * With the attribute alone, such pages are a preference. They are taken if they
 * can be spared, and as the buffer is no secret to the kernel by contract, it may
 * be in a hibernation image, as before. With DMA_ATTR_REQUIRE_UNMAPPED, they are
 * what the driver insists on: any effort is made that its GFP flags allow, and
 * the contents never get into an image.
 *
 * A user space mapping holds a reference to each page. If a driver frees a
 * buffer that is still mapped, the pages are not handed out again before the
 * mapping is gone.
 */

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/dma-map-ops.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/unmapped_alloc.h>

#include <kunit/visibility.h>

/* Pages in unmapped buffers that were not freed yet. */
static atomic_long_t nr_pages_used;
/* How often ordinary memory was taken for want of unmapped pages. */
static atomic_long_t nr_fallbacks;
/* How often there were none for a buffer that must be unmapped. */
static atomic_long_t nr_refusals;

static bool has_own_cma(const struct device *dev)
{
#ifdef CONFIG_DMA_CMA
	return dev->cma_area;
#else
	return false;
#endif
}

/* A non-coherent device needs cache maintenance, by the direct map's addresses. */
static bool can_be_unmapped(struct device *dev)
{
	return unmapped_alloc_available() && dev_is_dma_coherent(dev) &&
	       !has_own_cma(dev);
}

static gfp_t unmapped_gfp(gfp_t gfp, unsigned long attrs)
{
	gfp &= ~(__GFP_HIGHMEM | __GFP_ZERO | __GFP_NOFAIL);
	if (attrs & DMA_ATTR_NO_WARN)
		gfp |= __GFP_NOWARN;
	return gfp;
}

static bool is_required(unsigned long attrs)
{
	return attrs & DMA_ATTR_REQUIRE_UNMAPPED;
}

static struct page *alloc_chunk(struct device *dev, gfp_t gfp,
				unsigned long attrs, unsigned int order)
{
	int nid = dev_to_node(dev);

	return is_required(attrs) ? unmapped_pages_alloc_node(gfp, order, nid) :
				    unmapped_pages_alloc_spare(gfp, order, nid);
}

/**
 * dma_unmapped_alloc() - allocate contiguous pages for a buffer
 * @dev: the device.
 * @order: 2^@order pages.
 * @gfp: GFP_* flags, with the zone that @dev can access.
 * @attrs: the buffer's attributes.
 *
 * Context: Any context except NMI; may sleep if @gfp allows blocking.
 * Return: the first page of zeroed pages that are absent from the direct map, or
 * NULL. They are a compound page if @order is not 0.
 */
struct page *dma_unmapped_alloc(struct device *dev, unsigned int order,
				gfp_t gfp, unsigned long attrs)
{
	struct page *page;

	if (!can_be_unmapped(dev) || order > PMD_ORDER)
		return NULL;

	/* As a compound page, a reference to any page of it keeps all. */
	gfp = unmapped_gfp(gfp, attrs) | __GFP_COMP;
	page = alloc_chunk(dev, gfp, attrs, order);
	if (!page)
		return NULL;

	if (!is_required(attrs))
		unmapped_image_allow(page, order);
	atomic_long_add(1L << order, &nr_pages_used);
	return page;
}

/**
 * dma_unmapped_free() - free contiguous pages of a buffer
 * @page: the first page, from dma_unmapped_alloc().
 * @order: 2^@order pages.
 *
 * Context: As for unmapped_pages_free().
 */
void dma_unmapped_free(struct page *page, unsigned int order)
{
	atomic_long_sub(1L << order, &nr_pages_used);
	unmapped_image_deny(page, order);
	unmapped_pages_free(page, order);
}

static unsigned int alloc_singles(struct device *dev, gfp_t gfp,
				  unsigned long attrs, unsigned int nr_pages,
				  struct page **pages)
{
	int nid = dev_to_node(dev);

	return is_required(attrs) ?
	       unmapped_pages_alloc_bulk(gfp, nid, NULL, nr_pages, pages) :
	       unmapped_pages_alloc_bulk_spare(gfp, nid, nr_pages, pages);
}

/* Large ones, which an IOMMU can map by one entry each, as long as there are any. */
static unsigned int alloc_large(struct device *dev, gfp_t gfp,
				unsigned long attrs, unsigned int nr_pages,
				struct page **pages)
{
	unsigned int got = 0, i;
	struct page *page;

	gfp |= __GFP_NORETRY | __GFP_NOWARN;
	while (nr_pages - got >= 1U << PMD_ORDER) {
		page = alloc_chunk(dev, gfp, attrs, PMD_ORDER);
		if (!page)
			break;
		split_page(page, PMD_ORDER);
		for (i = 0; i < 1U << PMD_ORDER; i++)
			pages[got++] = page + i;
	}
	return got;
}

/**
 * dma_unmapped_alloc_bulk() - allocate single pages for a buffer
 * @dev: the device.
 * @gfp: GFP_* flags.
 * @attrs: the buffer's attributes.
 * @nr_pages: number of pages.
 * @pages: array to store them in.
 *
 * Context: As dma_unmapped_alloc().
 * Return: true if there were enough.
 */
bool dma_unmapped_alloc_bulk(struct device *dev, gfp_t gfp, unsigned long attrs,
			     unsigned int nr_pages, struct page **pages)
{
	unsigned int i, got;

	if (!can_be_unmapped(dev))
		return false;

	gfp = unmapped_gfp(gfp, attrs);
	got = alloc_large(dev, gfp, attrs, nr_pages, pages);
	if (got < nr_pages)
		got += alloc_singles(dev, gfp, attrs, nr_pages - got,
				     pages + got);
	if (got < nr_pages) {
		release_pages(pages, got);
		return false;
	}

	if (!is_required(attrs))
		for (i = 0; i < nr_pages; i++)
			unmapped_image_allow(pages[i], 0);
	atomic_long_add(nr_pages, &nr_pages_used);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(dma_unmapped_alloc_bulk);

/**
 * dma_unmapped_free_bulk() - free single pages of a buffer
 * @pages: the pages, from dma_unmapped_alloc_bulk().
 * @nr_pages: their number.
 *
 * Context: As for unmapped_pages_free().
 */
void dma_unmapped_free_bulk(struct page **pages, unsigned int nr_pages)
{
	unsigned int i;

	atomic_long_sub(nr_pages, &nr_pages_used);
	for (i = 0; i < nr_pages; i++)
		unmapped_image_deny(pages[i], 0);
	release_pages(pages, nr_pages);
}
EXPORT_SYMBOL_IF_KUNIT(dma_unmapped_free_bulk);

/**
 * dma_unmapped_missed() - count a buffer for which there are no unmapped pages
 * @attrs: the buffer's attributes.
 *
 * Context: Any context.
 * Return: true if ordinary memory will do.
 */
bool dma_unmapped_missed(unsigned long attrs)
{
	atomic_long_inc(is_required(attrs) ? &nr_refusals : &nr_fallbacks);
	return !is_required(attrs);
}

/* === User space mappings ================================================= */

/*
 * GUP must not find the pages, because what it is used for accesses them through
 * the direct map. So does the copy that a private mapping makes when it is
 * written to. Code that follows the page tables of a VM_IO mapping, as KVM does,
 * has to check whether a page is unmapped.
 */
static int prepare_vma(struct vm_area_struct *vma, unsigned long nr_pages)
{
	if (vma->vm_pgoff >= nr_pages ||
	    vma_pages(vma) > nr_pages - vma->vm_pgoff)
		return -ENXIO;
	if (vma_is_cow_mapping(vma))
		return -EINVAL;

	vm_flags_mod(vma, VM_IO | VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP,
		     VM_PFNMAP);
	return 0;
}

/**
 * dma_unmapped_mmap() - map contiguous pages of a buffer to user space
 * @vma: the mapping; its offset is that in the buffer.
 * @page: the first page, from dma_unmapped_alloc().
 * @nr_pages: number of pages of the buffer.
 *
 * Context: Process context, in an mmap operation.
 * Return: 0, or a negative error code.
 */
int dma_unmapped_mmap(struct vm_area_struct *vma, struct page *page,
		      unsigned long nr_pages)
{
	unsigned long i;
	int err;

	/* Whatever size the driver says: what follows belongs to others. */
	if (WARN_ON_ONCE(PageTail(page) ||
			 nr_pages > folio_nr_pages(page_folio(page))))
		return -ENXIO;

	err = prepare_vma(vma, nr_pages);
	for (i = 0; !err && i < vma_pages(vma); i++)
		err = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				     page + vma->vm_pgoff + i);
	return err;
}

/**
 * dma_unmapped_mmap_bulk() - map single pages of a buffer to user space
 * @vma: the mapping; its offset is that in the buffer.
 * @pages: the pages, from dma_unmapped_alloc_bulk().
 * @nr_pages: their number.
 *
 * Context: Process context, in an mmap operation.
 * Return: 0, or a negative error code.
 */
int dma_unmapped_mmap_bulk(struct vm_area_struct *vma, struct page **pages,
			   unsigned long nr_pages)
{
	unsigned long nr = vma_pages(vma);
	int err;

	err = prepare_vma(vma, nr_pages);
	if (err)
		return err;
	return vm_insert_pages(vma, vma->vm_start, pages + vma->vm_pgoff, &nr);
}

/* === debugfs ============================================================= */

static int dma_unmapped_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "pages    %ld\n", atomic_long_read(&nr_pages_used));
	seq_printf(m, "fallback %ld\n", atomic_long_read(&nr_fallbacks));
	seq_printf(m, "refused  %ld\n", atomic_long_read(&nr_refusals));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(dma_unmapped);

static int __init dma_unmapped_init(void)
{
	if (unmapped_alloc_available())
		debugfs_create_file("dma_unmapped", 0400, NULL, NULL,
				    &dma_unmapped_fops);
	return 0;
}
late_initcall(dma_unmapped_init);
