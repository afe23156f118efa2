// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a module's text in /proc/kcore as it is in memory?
 *
 *	kcore_text MODULE KIB
 *
 * Finds text_run() of that generated module in /proc/kallsyms, and compares all
 * bytes of its marks with what they have to be at their address.
 */
#include <fcntl.h>
#include <linux/elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mark.h"

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Where the first unit of a module is. */
static unsigned long find_marks(const char *module)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], in[128];
	unsigned long addr;

	snprintf(in, sizeof(in), "text_run\t[%s]\n", module);
	while (f && fgets(line, sizeof(line), f))
		if (strlen(line) > 19 && !strcmp(line + 19, in) &&
		    sscanf(line, "%lx", &addr) == 1 && addr) {
			fclose(f);
			return addr / MARK_UNIT * MARK_UNIT + MARK_UNIT;
		}
	fprintf(stderr, "no text_run of %s in /proc/kallsyms\n", module);
	exit(1);
}

/* Where an address is in the file. */
static off_t find_offset(int kcore, unsigned long addr)
{
	Elf64_Phdr segment;
	Elf64_Ehdr elf;
	int i;

	if (pread(kcore, &elf, sizeof(elf), 0) != sizeof(elf))
		fail("/proc/kcore");
	for (i = 0; i < elf.e_phnum; i++) {
		if (pread(kcore, &segment, sizeof(segment), elf.e_phoff +
			  i * sizeof(segment)) != sizeof(segment))
			fail("/proc/kcore");
		if (segment.p_type == PT_LOAD && addr >= segment.p_vaddr &&
		    addr - segment.p_vaddr < segment.p_filesz)
			return segment.p_offset + (addr - segment.p_vaddr);
	}
	fprintf(stderr, "no segment of /proc/kcore has %lx\n", addr);
	exit(1);
}

static void make_unit(unsigned char *unit, unsigned long addr)
{
	struct text_mark mark = {
		MARK_OPCODE, addr + MARK_1, MARK_OPCODE, addr + MARK_2, MARK_OPCODE, addr + MARK_3,
	};

	memset(unit, MARK_NOP, MARK_UNIT);
	memcpy(unit, &mark, sizeof(mark));
}

int main(int argc, char **argv)
{
	unsigned char expected[MARK_UNIT], found[MARK_UNIT];
	unsigned long addr, units, same = 0, i;
	int kcore;
	off_t at;

	units = argc == 3 ? MARK_UNITS(strtoul(argv[2], NULL, 10)) : 0;
	if (!units) {
		fprintf(stderr, "usage: kcore_text MODULE KIB\n");
		return 2;
	}
	addr = find_marks(argv[1]);
	make_unit(expected, addr);
	kcore = open("/proc/kcore", O_RDONLY);
	if (kcore < 0)
		fail("/proc/kcore");
	at = find_offset(kcore, addr);
	for (i = 0; i < units; i++) {
		if (pread(kcore, found, MARK_UNIT, at + i * MARK_UNIT) != MARK_UNIT)
			fail("/proc/kcore");
		same += !memcmp(found, expected, MARK_UNIT);
	}
	/* The marks must not be found here. */
	memset(found, 0, sizeof(found));
	memset(expected, 0, sizeof(expected));
	printf("%lu of %lu units\n", same, units);
	return same != units;
}
