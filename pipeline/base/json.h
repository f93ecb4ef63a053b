/* json: writes JSON, so that every --json says what it means.
 *
 * WHAT   A streaming writer into a growing buffer: commas, quoting and UTF-8 repair are its business.
 *        key == NULL inside an array or at the top. Octets that are not UTF-8 become U+FFFD. Compact, no
 *        newline at the end. Up to 63 levels deep.
 * OWNS   json_text() is borrowed until the next call.
 * FAILS  Never; unbalanced use is a bug (ASSERT).
 */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

struct json *json_new(void);
void json_free(struct json **json);
const char *json_text(struct json *json, size_t *len); /* every bracket must be closed */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end(struct json *json);                       /* of the innermost object or array */
void json_string(struct json *json, const char *key, const char *value); /* value NULL: null */
void json_uint(struct json *json, const char *key, uint64_t value);
void json_int(struct json *json, const char *key, int64_t value);
void json_real(struct json *json, const char *key, double value); /* NaN, infinite: null */
void json_bool(struct json *json, const char *key, bool value);
void json_raw(struct json *json, const char *key, const char *text); /* one value that is JSON already */

#endif
