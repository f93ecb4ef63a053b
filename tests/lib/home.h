/* home: loopback addresses that no other test process has, so that the same test may run twice at a time.
 *
 * WHAT   In a text, HOST1 … HOST9 stand for addresses in 127.0.0.0/8 made of the process's ID.
 */
#ifndef WEIR_TESTS_HOME_H
#define WEIR_TESTS_HOME_H

/* The text with the addresses filled in; good for the next dozen calls. */
const char *home(const char *text);

#endif
