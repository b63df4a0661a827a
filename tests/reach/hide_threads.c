/* SPDX-License-Identifier: MIT */
/*
 * hide_threads.c - in what a foreign thread has: its stack, its registers, its own variables.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "hide.h"

static __thread void *tls[200] __attribute__((used));

static void *tls_thread(void *arg)
{
	tls[117] = *(void **)arg;
	*(void **)arg = NULL;
	for (;;)
		pause();
	return NULL;
}

static void in_tls(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, tls_thread, &global);
}

static void *stack_thread(void *arg)
{
	void *volatile chan[64] = { 0 };

	chan[31] = *(void **)arg;
	*(void **)arg = NULL;
	for (;;) {
		pause();
		chan[30] = chan[31];
	}
	return NULL;
}

static void in_foreign_stack(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, stack_thread, &global);
}

/* By a key beyond those that have a place in the thread's own record. */
static void *key_thread(void *arg)
{
	pthread_key_t key = 0;
	void **box = calloc(4, sizeof(*box));

	box[1] = *(void **)arg;
	*(void **)arg = NULL;
	for (int i = 0; i < 100; i++)
		pthread_key_create(&key, NULL);
	pthread_setspecific(key, box);
	box = NULL;
	for (;;)
		pause();
	return NULL;
}

static void by_key(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, key_thread, &global);
}

/* A handler that does not return, on a stack that malloc gave and of
 * which only the kernel knows. */
static void stays(int signal)
{
	void *volatile chan[16];

	(void)signal;
	chan[7] = global;
	global = NULL;
	for (;;) {
		pause();
		chan[6] = chan[7];
	}
}

static void *handler_thread(void *arg)
{
	stack_t stack = { .ss_size = 65536 };
	struct sigaction action = { .sa_handler = stays, .sa_flags = SA_ONSTACK };

	stack.ss_sp = malloc(stack.ss_size);
	sigaltstack(&stack, NULL);
	stack.ss_sp = NULL;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	return arg;
}

static void in_handler(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, handler_thread, NULL);
}

/* A foreign thread that has it in a register of its own and nowhere else. */
static void *register_thread(void *arg)
{
	void **from = arg;

	__asm__ volatile("movq (%0), %%r14\n\t"
			 "movq $0, (%0)\n\t"
			 "xorl %%eax, %%eax\n"
			 "1: addq $1, %%rax\n\t"
			 "testq %%r14, %%r14\n\t"
			 "jne 1b"
			 :
			 : "r"(from)
			 : "r14", "rax", "memory");
	return NULL;
}

static void in_register(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, register_thread, &global);
}

/* The same in the upper half of a vector register, at an odd byte. */
static void *vector_thread(void *arg)
{
	static unsigned char bytes[16];
	void **from = arg;

	memcpy(bytes + 3, from, 8);
	*from = NULL;
	__asm__ volatile("movdqu (%0), %%xmm9\n\t"
			 "pxor %%xmm0, %%xmm0\n\t"
			 "movdqu %%xmm0, (%0)\n\t"
			 "movq %%rsp, %%rax\n"
			 "1: jmp 1b"
			 :
			 : "r"(bytes)
			 : "rax", "memory");
	return NULL;
}

static void in_vector(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, vector_thread, &global);
}

/* A thread that nobody can stop: it waits in the kernel for its child, which goes when it does. */
static void *vfork_thread(void *arg)
{
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*(volatile bool *)arg = true;
		for (;;)
			pause();
	}
	return NULL;
}

static void beside_vfork(void)
{
	static volatile bool there;
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, vfork_thread, (void *)&there);
	while (!there)
		usleep(1000);
}

const struct place places_in_threads[] = {
	{ "tls", in_tls },	     { "foreign_stack", in_foreign_stack },
	{ "key", by_key },	     { "handler", in_handler },
	{ "register", in_register }, { "vector", in_vector },
	{ "vfork", beside_vfork },   { NULL, NULL },
};
