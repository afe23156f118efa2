// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much of a guest's memory can the kernel reach? Argument: the process that
 * has it mapped. Prints
 *
 *	pages N		pages of guest_memfd files that are mapped and there
 *	present N	those of them that are in the direct map (page table dump)
 *	marks N		marks of workbench/vm/secrets.c seen through the direct map
 */
#include <fcntl.h>
#include <linux/elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE		4096UL
#define MARK		32
#define STEP		(64 * PAGE)
#define PAGE_TABLES	"/sys/kernel/debug/page_tables/kernel"

static unsigned long direct_map;	/* where page 0 is in it */
static unsigned char *present;		/* by page number */
static unsigned long nr_pfns;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static FILE *open_or_fail(const char *name)
{
	FILE *f = fopen(name, "r");

	if (!f)
		fail(name);
	return f;
}

static void add_range(unsigned long start, unsigned long end)
{
	unsigned long last = (end - direct_map) / PAGE;

	if (last > nr_pfns) {
		present = realloc(present, last);
		if (!present)
			fail("realloc");
		memset(present + nr_pfns, 0, last - nr_pfns);
		nr_pfns = last;
	}
	memset(present + (start - direct_map) / PAGE, 1, (end - start) / PAGE);
}

/*
 * The direct map's section of the page table dump. A range that is present is
 * writable or read-only, another is neither.
 */
static void read_direct_map(void)
{
	FILE *f = open_or_fail(PAGE_TABLES);
	unsigned long start, end;
	bool inside = false;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "---[", 4)) {
			inside = strstr(line, "Low Kernel Mapping");
			continue;
		}
		if (!inside || sscanf(line, "0x%lx-0x%lx", &start, &end) != 2)
			continue;
		if (!direct_map)
			direct_map = start;
		if (strstr(line, " RW ") || strstr(line, " ro "))
			add_range(start, end);
	}
	fclose(f);
	if (!nr_pfns)
		fail("no direct map in " PAGE_TABLES);
}

/* Look at the page numbers of one mapping. */
static void look_at(int pagemap, unsigned long start, unsigned long end,
		    unsigned long *nr, unsigned long *nr_present)
{
	unsigned long addr, pfn;
	unsigned long long entry;

	for (addr = start; addr < end; addr += PAGE) {
		if (pread(pagemap, &entry, sizeof(entry),
			  addr / PAGE * sizeof(entry)) != sizeof(entry))
			fail("pagemap");
		if (!(entry >> 63))
			continue;
		pfn = entry & ((1ULL << 55) - 1);
		(*nr)++;
		*nr_present += pfn < nr_pfns && present[pfn];
	}
}

static void look_at_guest(const char *pid)
{
	unsigned long start, end, nr = 0, nr_present = 0;
	char name[64], line[512];
	int pagemap;
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%s/pagemap", pid);
	pagemap = open(name, O_RDONLY);
	if (pagemap < 0)
		fail(name);
	snprintf(name, sizeof(name), "/proc/%s/maps", pid);
	maps = open_or_fail(name);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "kvm-gmem") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			look_at(pagemap, start, end, &nr, &nr_present);
	printf("pages %lu\npresent %lu\n", nr, nr_present);
}

static bool is_mark(const unsigned char *at)
{
	unsigned int i;

	for (i = 0; i < MARK; i++)
		if (at[i] != ((unsigned char)(i * 151 + 73) ^ 0xa5))
			return false;
	return true;
}

/* A mark is at the same place of each page that has one, see mark_pages(). */
static unsigned long count_marks(int kcore, const Elf64_Phdr *segment)
{
	static unsigned char buf[STEP];
	unsigned long nr = 0, at, i;
	ssize_t len;

	for (at = 0; at < segment->p_filesz; at += STEP) {
		len = pread(kcore, buf, STEP, segment->p_offset + at);
		if (len < 0)
			fail("/proc/kcore");
		for (i = 64; i + MARK <= (unsigned long)len; i += PAGE)
			nr += is_mark(buf + i);
	}
	memset(buf, 0, sizeof(buf));
	return nr;
}

/* /proc/kcore reads zeroes where the direct map has a hole. */
static void look_for_marks(void)
{
	int kcore = open("/proc/kcore", O_RDONLY);
	unsigned long nr = 0;
	Elf64_Phdr segment;
	Elf64_Ehdr elf;
	int i;

	if (kcore < 0 || pread(kcore, &elf, sizeof(elf), 0) != sizeof(elf))
		fail("/proc/kcore");
	for (i = 0; i < elf.e_phnum; i++) {
		if (pread(kcore, &segment, sizeof(segment), elf.e_phoff +
			  i * sizeof(segment)) != sizeof(segment))
			fail("/proc/kcore");
		if (segment.p_type == PT_LOAD && segment.p_vaddr >= direct_map &&
		    segment.p_vaddr < direct_map + nr_pfns * PAGE)
			nr += count_marks(kcore, &segment);
	}
	printf("marks %lu\n", nr);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: guestmem PID\n");
		return 2;
	}
	read_direct_map();
	look_at_guest(argv[1]);
	look_for_marks();
	return 0;
}
