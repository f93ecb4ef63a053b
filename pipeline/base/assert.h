/* assert: the promise that our own code keeps.
 *
 * WHAT   ASSERT(x) states what is true unless weir itself has a bug. It stays on in release builds:
 *        a name server that no longer knows what it serves must stop, not guess.
 *        Never use it on what came from the network, a file or an operator.
 * WHO    Any thread.
 */
#ifndef WEIR_BASE_ASSERT_H
#define WEIR_BASE_ASSERT_H

_Noreturn void assert_failed(const char *expr, const char *file, int line, const char *func);

#define ASSERT(x) ((x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__, __func__))
#define UNREACHABLE() assert_failed("not reached", __FILE__, __LINE__, __func__)

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
