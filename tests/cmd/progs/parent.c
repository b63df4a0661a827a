/* SPDX-License-Identifier: MIT */
/*
 * parent - starts the program that its arguments name, waits for it, and ends with its status.
 * With "fork" before them it starts the program by fork and exec.
 */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	int forks = argc > 1 && !strcmp(argv[1], "fork");
	pid_t pid;
	int status;

	if (argc < 2 + forks)
		return 2;
	argv += 1 + forks;
	if (forks) {
		pid = fork();
		if (pid == 0) {
			execv(argv[0], argv);
			_exit(127);
		}
	} else if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ)) {
		return 127;
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}
