// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: mapping a page on purpose, for as long as its owner
 * shares it with the kernel.
 */

#include <linux/mm.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>

#include "unmapped-alloc.h"

void *unmapped_page_vmap(struct page *page)
{
	/* Sparse: readers of /proc/kcore see zeroes here. */
	struct vm_struct *area = get_vm_area(PAGE_SIZE, VM_SPARSE);
	unsigned long addr;

	if (!area)
		return NULL;

	addr = (unsigned long)area->addr;
	if (vm_area_map_pages(area, addr, addr + PAGE_SIZE, &page)) {
		free_vm_area(area);
		return NULL;
	}
	get_page(page);
	return area->addr;
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vmap);

void unmapped_page_vunmap(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);
	struct page *page = vmalloc_to_page(addr);
	unsigned long start = (unsigned long)addr;

	/* Unlike vunmap(), this does not defer the flush. */
	vm_area_unmap_pages(area, start, start + PAGE_SIZE);
	free_vm_area(area);
	put_page(page);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vunmap);
