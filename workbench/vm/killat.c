// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program until it, or a child of its, has changed a file, and kill the
 * process that did so, and its process group, right after that system call.
 *
 *	killat FILE PROGRAM [ARGUMENT...]
 *
 * FILE need not exist before: that it does afterwards is a change, too. It may be
 * a pattern of the shell's.
 *
 * Exit status: 0 if it was killed there, 1 if FILE never changed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | \
		 PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

/* The contents of the first file that is meant, or that there is none. */
static void look(const char *pattern, char *text, size_t size)
{
	ssize_t len = -1;
	glob_t found;
	int fd = -1;

	if (!glob(pattern, 0, NULL, &found)) {
		fd = open(found.gl_pathv[0], O_RDONLY);
		len = fd < 0 ? -1 : read(fd, text, size - 1);
		if (fd >= 0)
			close(fd);
		if (len < 0)
			len = snprintf(text, size, "a folder");
		globfree(&found);
	} else {
		len = snprintf(text, size, "no file");
	}
	text[len] = 0;
}

/* At the end of a system call by which files are changed? */
static int may_have_changed(pid_t pid)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_EXIT ||
	    ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return 0;
	return regs.orig_rax == SYS_write || regs.orig_rax == SYS_pwrite64 ||
	       regs.orig_rax == SYS_mkdir;
}

/* Let a process go on that has stopped. Returns whether it was killed instead. */
static int go_on(pid_t pid, int status, const char *pattern, const char *before)
{
	int signal = WSTOPSIG(status);
	char now[4096];

	if (signal == (SIGTRAP | 0x80)) {
		signal = 0;
		if (before && may_have_changed(pid)) {
			look(pattern, now, sizeof(now));
			if (strcmp(before, now)) {
				kill(-getpgid(pid), SIGKILL);
				return 1;
			}
		}
	} else if (signal == SIGTRAP || signal == SIGSTOP) {
		/* An event, or the first stop of a child. */
		signal = 0;
	}
	ptrace(before ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, signal);
	return 0;
}

int main(int argc, char **argv)
{
	int status, killed = 0;
	char before[4096];
	pid_t root, pid;

	if (argc < 3)
		return 2;
	look(argv[1], before, sizeof(before));
	root = fork();
	if (!root) {
		setpgid(0, 0);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (root < 0 || waitpid(root, &status, __WALL) != root ||
	    ptrace(PTRACE_SETOPTIONS, root, NULL, OPTIONS)) {
		perror("killat");
		return 2;
	}
	go_on(root, status, argv[1], before);
	/* The others go on when their tracer ends. */
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid == root)
				break;
			continue;
		}
		killed |= go_on(pid, status, argv[1], killed ? NULL : before);
	}
	return !killed;
}
