/* systemd: tells the service manager how weir is doing, where there is one (sd_notify(3), NOTIFY_SOCKET).
 *
 * WHAT   One datagram "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=…". Without NOTIFY_SOCKET nothing happens.
 * FAILS  Never; a manager that does not listen is not our trouble.
 */
#ifndef WEIR_NET_SYSTEMD_H
#define WEIR_NET_SYSTEMD_H

void systemd_tell(const char *state);

#endif
