/* SPDX-License-Identifier: MIT */
/*
 * check_run.c - run the program of goro check, and wait for whatever happens.
 *
 * The program gets our standard streams, environment and signals as if we were not there. It is a
 * process group of its own, so that a timeout can end all of it; when we have the terminal, the
 * program gets it, as a shell would give it.
 */
#include "check.h"
#include "cmd.h"
#include "report.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define AFTER_TERM INT64_C(2000000000) /* from SIGTERM to SIGKILL */
#define SEE_AGAIN  INT64_C(50000000)   /* whether its children have ended, too */

struct run {
	const struct check_options *opt;
	struct check_findings *findings;
	struct gate *gate;
	pid_t pid;
	int signals;	   /* signalfd */
	sigset_t mask;	   /* as we found it */
	sigset_t defaults; /* signals that we ignore and the program shall not */
	bool terminal;	   /* it has ours */
	bool ended;
	int status; /* of waitpid */
	bool timed_out;
	int64_t deadline; /* of the timeout, then of SIGKILL */
	int64_t next;	  /* look for proofs, with --every */
};

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* Ignore a signal that would kill or stop us; the program gets it as we found it. */
static void ignore(struct run *run, int signo)
{
	if (signal(signo, SIG_IGN) != SIG_IGN)
		sigaddset(&run->defaults, signo);
}

static void watch_signals(struct run *run)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &run->mask);
	sigemptyset(&run->defaults);
	ignore(run, SIGTTOU); /* we write while the terminal is the program's */
	ignore(run, SIGPIPE); /* the report may have lost its reader */
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Start the program; 0 or an errno. */
static int start(struct run *run)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err;

	run->terminal = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &run->mask);
	posix_spawnattr_setsigdefault(&attr, &run->defaults);
	if (run->terminal)
		posix_spawn_file_actions_addtcsetpgrp_np(&files, STDIN_FILENO);
	err = posix_spawnp(&run->pid, run->opt->command[0], &files, &attr, run->opt->command,
			   environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

static void take_terminal(const struct run *run)
{
	if (run->terminal)
		tcsetpgrp(STDIN_FILENO, getpgrp());
}

/*
 * ^Z stopped the program: stop with it, and go on with it. All of our process group stop, as
 * without us. Where nobody could continue them (setpgid(2), orphaned) none of them does.
 */
static void stop_too(struct run *run)
{
	if (!run->terminal)
		return;
	take_terminal(run);
	kill(0, SIGTSTP);
	tcsetpgrp(STDIN_FILENO, run->pid);
	kill(-run->pid, SIGCONT);
}

static void reap(struct run *run)
{
	int status;

	while (!run->ended && waitpid(run->pid, &status, WNOHANG | WUNTRACED) == run->pid) {
		if (WIFSTOPPED(status)) {
			stop_too(run);
			continue;
		}
		run->ended = true;
		run->status = status;
		gate_shut(run->gate);
	}
}

/*
 * Those that end a program end the series of runs too. They are for all of its process group:
 * whoever sent one to ours, as a CI server does, meant all in it, and would have reached them
 * without us.
 */
static void forward(struct run *run, int signo)
{
	const bool ends = signo != SIGUSR1 && signo != SIGUSR2;

	run->findings->interrupted |= ends;
	if (!run->ended && (!ends || kill(-run->pid, signo)))
		kill(run->pid, signo);
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo si;

	while (read(run->signals, &si, sizeof si) == sizeof si) {
		if (si.ssi_signo == SIGCHLD)
			reap(run);
		else
			forward(run, (int)si.ssi_signo);
	}
}

/*
 * Look at one process for proofs: it has not come to its end, so that what waits is no leak yet.
 * But why it does not end is what its goroutines do: `show` them to who reads the log of a build.
 */
static void judge_process(struct run *run, int pid, bool show)
{
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_open_pid(&scope, pid);

	if (err) {
		goro_error_free(err);
		return;
	}
	err = goro_scope_snapshot(scope, &snap);
	if (!err) {
		check_note_process(run->findings, pid);
		err = check_find(run->findings, scope, snap, run->opt, CHECK_PROVED, 0);
		if (show) {
			report_dump_text(&(struct report){ stderr, scope, snap, false },
					 GORO_BY_SPAWN, NULL);
			fputc('\n', stderr);
		}
		goro_snapshot_free(snap);
	}
	goro_error_free(err);
	goro_scope_close(scope);
}

static void judge_all(struct run *run, bool show)
{
	struct goro_candidate *c = NULL;
	size_t n = 0;
	struct goro_error *err = goro_list_processes(&c, &n, false);

	if (err) {
		goro_error_free(err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (check_tree_has(run->pid, c[i].pid))
			judge_process(run, c[i].pid, show);
	}
	goro_candidates_free(c, n);
}

static size_t goroutines(const struct sites *sites)
{
	size_t n = 0;

	for (size_t i = 0; i < sites->n; i++)
		n += sites->v[i].count;
	return n;
}

/* A look takes what it takes: the pause between two is as long as was asked for. */
static void look_again(struct run *run)
{
	size_t before = goroutines(&run->findings->sites), now;

	judge_all(run, false);
	now = goroutines(&run->findings->sites);
	if (now > before)
		fprintf(stderr,
			"goro: check: %zu goroutine%s stuck for ever while %s runs; the report "
			"comes at its end\n",
			now - before, now - before == 1 ? " is" : "s are", run->opt->command[0]);
	run->next = check_now() + (int64_t)run->opt->every_ns;
}

/* First ask, then kill. */
static void time_out(struct run *run)
{
	/* A document on stderr is not to be broken, and says it itself. */
	const bool show = run->opt->format == CHECK_TEXT || run->opt->apart;
	char limit[TEXT_NUMBER];

	if (run->timed_out) {
		check_tree_signal(run->pid, SIGKILL);
		run->deadline = INT64_MAX;
		return;
	}
	if (show)
		fprintf(stderr, "goro: check: %s is killed after --timeout %s\n",
			run->opt->command[0], text_duration(limit, run->opt->timeout_ns));
	judge_all(run, show);
	run->timed_out = true;
	run->next = INT64_MAX;
	gate_open_wide(run->gate);
	check_tree_signal(run->pid, SIGTERM);
	check_tree_signal(run->pid, SIGCONT);
	run->deadline = check_now() + AFTER_TERM;
}

/* A shell ends when it is asked to, and leaves behind who does not. */
static bool has_survivors(const struct run *run)
{
	return run->timed_out && run->deadline != INT64_MAX && check_tree_signal(run->pid, 0);
}

static void wait_for_events(struct run *run)
{
	struct pollfd fds[GATE_FDS + GATE_DOORS + 1];
	int64_t deadline = run->ended && !run->timed_out ? INT64_MAX
			   : run->ended			 ? check_now() + SEE_AGAIN
			   : run->next < run->deadline	 ? run->next
							 : run->deadline;
	int64_t now;
	size_t n = 1;
	int ms = -1;

	fds[0] = (struct pollfd){ .fd = run->signals, .events = POLLIN };
	n += gate_poll(run->gate, fds + 1, GATE_FDS + GATE_DOORS, &deadline);
	now = check_now();
	if (deadline != INT64_MAX)
		ms = deadline <= now ? 0
		     : deadline - now > 3600 * INT64_C(1000000000)
			     ? 3600 * 1000
			     : (int)((deadline - now + 999999) / 1000000);
	poll(fds, n, ms);
}

/* 124, what the program returned, or 128 + the signal that killed it. */
static int final_status(const struct run *run)
{
	const int signo = WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0;

	if (signo)
		run->findings->killed_by = signo;
	if (run->terminal && (signo == SIGINT || signo == SIGQUIT)) {
		run->findings->typed = signo;
		run->findings->interrupted = true;
	}
	run->findings->timed_out |= run->timed_out;
	if (run->timed_out)
		return GORO_TIMEOUT;
	return signo ? 128 + signo : WEXITSTATUS(run->status);
}

void check_pass_on(const struct check_findings *f, int status)
{
	if (!f->typed)
		return;
	fflush(NULL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(f->typed, status == 128 + f->typed ? SIG_DFL : SIG_IGN);
	kill(0, f->typed);
}

int check_run(const struct check_options *opt, struct check_findings *f)
{
	struct run run = { .opt = opt, .findings = f, .deadline = INT64_MAX, .next = INT64_MAX };
	int err, status;

	f->sites.run++;
	check_forget_seen(f);
	watch_signals(&run);
	run.gate = run.signals < 0 ? NULL : gate_open(opt, f);
	if (!run.gate)
		return GORO_PARTIAL;
	err = start(&run);
	if (err) {
		status = cmd_not_started("check", opt->command[0], err);
		goto out;
	}
	f->started = true;
	gate_expect(run.gate, run.pid);
	if (opt->timeout_ns)
		run.deadline = check_now() + (int64_t)opt->timeout_ns;
	if (opt->every_ns)
		run.next = check_now() + (int64_t)opt->every_ns;
	while (!run.ended || gate_busy(run.gate) || has_survivors(&run)) {
		wait_for_events(&run);
		take_signals(&run);
		gate_run(run.gate);
		if ((!run.ended || run.timed_out) && check_now() >= run.deadline)
			time_out(&run);
		if (!run.ended && !run.timed_out && check_now() >= run.next)
			look_again(&run);
	}
	status = final_status(&run);
	take_terminal(&run);
out:
	gate_close(run.gate);
	close(run.signals);
	sigprocmask(SIG_SETMASK, &run.mask, NULL);
	return status;
}
