// SPDX-License-Identifier: GPL-2.0-only
/*
 * A consumer whose pages may be in a hibernation image, as kernel text is: it
 * maps half a block of unmapped pages read-only. The other half is free.
 *
 * /sys/module/unmapped_keep/parameters has the address of the mapping, the one
 * that the direct map would have, and whether all is as it was.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/set_memory.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>

#define ORDER		(PMD_ORDER - 1)
#define NR_PAGES	(1U << ORDER)

/* See ../secrets.c: it is the mark of neither secrets nor ordinary memory. */
#define MARK		32
#define MARK_AT		64
#define KIND		0x3c

static struct page *chunk;
static u8 *map;

static ulong address;
module_param(address, ulong, 0400);
MODULE_PARM_DESC(address, "of the mapping");

static ulong alias;
module_param(alias, ulong, 0400);
MODULE_PARM_DESC(alias, "address in the direct map");

static u8 mark(unsigned int i)
{
	return ((i * 151 + 73) & 0xff) ^ 0xa5 ^ KIND;
}

/* Each page has the mark, and its number. */
static bool page_intact(unsigned int nr)
{
	const u8 *page = map + nr * PAGE_SIZE;
	unsigned int i;

	for (i = 0; i < MARK; i++)
		if (page[MARK_AT + i] != mark(i))
			return false;
	return *(const unsigned int *)page == nr;
}

static int state_get(char *buffer, const struct kernel_param *kp)
{
	unsigned int i, damaged = 0, mapped = 0;

	for (i = 0; map && i < NR_PAGES; i++) {
		damaged += !page_intact(i);
		mapped += kernel_page_present(chunk + i);
	}
	return sysfs_emit(buffer, "damaged %u mapped %u\n", damaged, mapped);
}

static const struct kernel_param_ops state_ops = { .get = state_get };
module_param_cb(state, &state_ops, NULL, 0400);
MODULE_PARM_DESC(state, "number of pages that are damaged, and in the direct map");

static void __exit keep_exit(void)
{
	vunmap(map);
	unmapped_image_deny(chunk, ORDER);
	unmapped_pages_free(chunk, ORDER);
}

static int __init keep_init(void)
{
	struct page **pages = kvmalloc_array(NR_PAGES, sizeof(*pages), GFP_KERNEL);
	unsigned int i, j;
	int err = -ENOMEM;

	chunk = unmapped_pages_alloc(GFP_KERNEL, ORDER);
	if (!pages || !chunk)
		goto free;
	for (i = 0; i < NR_PAGES; i++)
		pages[i] = chunk + i;
	map = vmap(pages, NR_PAGES, VM_MAP, PAGE_KERNEL);
	if (!map)
		goto free;

	for (i = 0; i < NR_PAGES; i++) {
		*(unsigned int *)(map + i * PAGE_SIZE) = i;
		for (j = 0; j < MARK; j++)
			map[i * PAGE_SIZE + MARK_AT + j] = mark(j);
	}
	err = set_memory_ro((unsigned long)map, NR_PAGES);
	if (err)
		goto unmap;

	unmapped_image_allow(chunk, ORDER);
	address = (unsigned long)map;
	alias = (unsigned long)page_address(chunk);
	kvfree(pages);
	return 0;

unmap:
	vunmap(map);
free:
	if (chunk)
		unmapped_pages_free(chunk, ORDER);
	kvfree(pages);
	return err;
}

module_init(keep_init);
module_exit(keep_exit);

MODULE_DESCRIPTION("Keeps unmapped pages that may be in a hibernation image");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
