/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * execmem: declarations shared by its own files.
 */
#ifndef __MM_EXECMEM_H
#define __MM_EXECMEM_H

#include <linux/execmem.h>
#include <linux/types.h>

struct vm_struct;

/* These change what text is: for nobody but the test, and only with it. */
#if IS_ENABLED(CONFIG_EXECMEM_KUNIT_TEST)
#define EXPORT_SYMBOL_FOR_EXECMEM_TEST(symbol)				\
	EXPORT_SYMBOL_FOR_MODULES(symbol, "execmem_kunit")
#else
#define EXPORT_SYMBOL_FOR_EXECMEM_TEST(symbol)
#endif

#ifdef CONFIG_EXECMEM_UNMAPPED
bool execmem_unmapped(const void *addr);
struct vm_struct *execmem_unmapped_alloc(const struct execmem_range *range,
					 size_t size);
void execmem_unmapped_free(struct vm_struct *area);
bool execmem_unmapped_is_block(const struct vm_struct *area);

/* execmem.c */
unsigned long execmem_cache_spare(void);
unsigned long execmem_cache_shrink(void);
#if IS_ENABLED(CONFIG_EXECMEM_KUNIT_TEST)
void execmem_cache_flush(void);
void execmem_cache_age(void);
bool execmem_cache_check(void);
int execmem_may_fail(void);
#endif
#else
static inline bool execmem_unmapped(const void *addr)
{
	return false;
}

static inline struct vm_struct *
execmem_unmapped_alloc(const struct execmem_range *range, size_t size)
{
	return NULL;
}

static inline void execmem_unmapped_free(struct vm_struct *area)
{
}

static inline bool execmem_unmapped_is_block(const struct vm_struct *area)
{
	return false;
}
#endif

#endif /* __MM_EXECMEM_H */
