// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program until it, or a child of its, has changed a file that often, and
 * kill the process that did so, and its process group, right after that system
 * call.
 *
 *	killat TIMES FILE PROGRAM [ARGUMENT...]
 *
 * FILE need not exist before: that it does afterwards is a change, too. It may be
 * a pattern of the shell's.
 *
 * Exit status: 0 if it was killed there, 1 if FILE changed less often.
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

/* What is watched. */
static const char *pattern;
static char contents[4096];
static int times;

static int has_changed(void)
{
	char now[sizeof(contents)];

	look(pattern, now, sizeof(now));
	if (!strcmp(contents, now))
		return 0;
	strcpy(contents, now);
	return 1;
}

/* Let a process go on that has stopped, or kill it. */
static void go_on(pid_t pid, int signal)
{
	if (signal == (SIGTRAP | 0x80)) {
		signal = 0;
		if (times && may_have_changed(pid) && has_changed() && !--times) {
			kill(-getpgid(pid), SIGKILL);
			return;
		}
	} else if (signal == SIGTRAP || signal == SIGSTOP) {
		/* An event, or the first stop of a child. */
		signal = 0;
	}
	ptrace(times ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, signal);
}

int main(int argc, char **argv)
{
	pid_t root, pid;
	int status;

	if (argc < 4)
		return 2;
	times = atoi(argv[1]);
	pattern = argv[2];
	look(pattern, contents, sizeof(contents));
	root = fork();
	if (!root) {
		setpgid(0, 0);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	if (root < 0 || waitpid(root, &status, __WALL) != root ||
	    ptrace(PTRACE_SETOPTIONS, root, NULL, OPTIONS)) {
		perror("killat");
		return 2;
	}
	go_on(root, WSTOPSIG(status));
	/* The others go on when their tracer ends. */
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			go_on(pid, WSTOPSIG(status));
		else if (pid == root)
			break;
	}
	return times != 0;
}
