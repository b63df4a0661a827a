/* SPDX-License-Identifier: MIT */
/* Shown in the golden screens, never compiled: only the numbers of the lines matter. */
/* clang-format off */


















































































/* One goroutine for each connection; ends when the session says so. */
static void watch_session(void *arg)
{

	goro_chan *done = goro_chan_of(int, 0);

	/* Nobody closes done when accept fails: this is the leak. */

	session_wait(arg, done);
}
































static void session_wait(struct session *s, goro_chan *done)
{
	int how;
	goro_chan_recv(done, &how);
	session_close(s, how);
}
