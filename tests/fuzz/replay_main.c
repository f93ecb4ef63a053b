/* replay_main: runs a fuzzer's entry over files and folders given as arguments, with any compiler.
 *
 * `make check` replays the corpora with it; `make fuzz` builds the same entries with libFuzzer instead. An entry ends
 * the process when an invariant breaks, so a file that comes back has passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned passed, failed;

static void replay_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    struct stat st;
    if (!in || fstat(fileno(in), &st) < 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        failed++;
        if (in)
            fclose(in);
        return;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data =
        malloc(size ? size : 1); /* exactly as large as the input: a sanitizer sees what is read */
    if (!data || fread(data, 1, size, in) != size) {
        fprintf(stderr, "%s: cannot be read whole\n", path);
        failed++;
    } else {
        (void)LLVMFuzzerTestOneInput(data, size);
        passed++;
    }
    free(data);
    fclose(in);
}

static void replay(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        replay_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        char inside[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        replay(inside);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed;
}
