/* faults: a disk that fails where it is told to.
 *
 * WHAT   Stands before libc's write, pwrite, writev, pwritev, fdatasync, fsync, ftruncate and rename, counts the calls that
 *        concern a journal (a file named data.mdb), both descriptors that LMDB has on it, and does as the orders say:
 *
 *            kill N          the process dies before the N-th call, as of kill -9
 *            half N          … after half of its octets were written; of a call that writes none, after it
 *            ERRNO N M       calls N up to, not including, M fail with it (ENOSPC, EIO, EROFS, EDQUOT)
 *            ERRNO N M NAME  … of them those of the function NAME only
 *            ERRNO/ERRNO N M … the first and the second in turn
 *            short N M       … write half of their octets and say so
 *            unreadable A B INODE  reads of the octets from A up to, not including, B of that file fail with EIO (pread, which is not
 *                            counted; what is read through LMDB's map is not stood before)
 *
 *        (LMDB syncs no map here: MDB_WRITEMAP is not set, so there is no msync to stand before.)
 *        Orders come from faults_set, or from the file that WEIR_FAULTS names, which is read again at every call. The
 *        calls so far are counted in its sibling FILE.calls, a line each.
 * WHO    Linked into a program before libc: build/tests/faults/weir, and tests/unit/journal_crash_test. Any thread.
 */
#ifndef WEIR_TESTS_FAULTS_H
#define WEIR_TESTS_FAULTS_H

void faults_set(const char *orders); /* counting begins anew */
unsigned faults_calls(void);
unsigned faults_folder_syncs(void);  /* fsync of folders, ever */

#endif
