// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read kernel memory from /proc/kcore the way debuggers do, and write it to
 * standard output. Arguments: the address in decimal, as sysfs has it, and the
 * number of bytes. Gives up after 20 seconds.
 */

#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Where in the file is this address? */
static off_t file_offset(int fd, unsigned long addr)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	int i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		err(1, "the header of /proc/kcore");
	for (i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment),
			  header.e_phoff + i * sizeof(segment)) != sizeof(segment))
			err(1, "a segment of /proc/kcore");
		if (segment.p_type == PT_LOAD && addr >= segment.p_vaddr &&
		    addr - segment.p_vaddr < segment.p_memsz)
			return segment.p_offset + (addr - segment.p_vaddr);
	}
	errx(1, "%#lx is in no segment of /proc/kcore", addr);
}

int main(int argc, char **argv)
{
	unsigned long addr, size;
	ssize_t got;
	off_t at;
	char *buf;
	int fd;

	if (argc != 3)
		errx(2, "usage: kcore ADDRESS BYTES");
	addr = strtoul(argv[1], NULL, 0);
	size = strtoul(argv[2], NULL, 0);
	/* In memory that no page fault has touched yet. */
	buf = malloc(size);
	fd = open("/proc/kcore", O_RDONLY);
	if (!buf || fd < 0)
		err(1, "/proc/kcore");
	at = file_offset(fd, addr);

	alarm(20);
	for (unsigned long done = 0; done < size; done += got) {
		got = pread(fd, buf + done, size - done, at + done);
		if (got <= 0)
			err(1, "reading /proc/kcore");
	}
	for (unsigned long done = 0; done < size; done += got) {
		got = write(1, buf + done, size - done);
		if (got <= 0)
			err(1, "writing");
	}
	return 0;
}
