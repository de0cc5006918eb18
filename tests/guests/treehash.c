/*
** treehash [-p] FOLDER: everything below a folder, in the order of its names, a line each:
**
**     file SHA256 BYTES PATH
**     link TARGET PATH
**     folder PATH
**
** and at the end how many there were of each, the bytes read, and the SHA-256 of the lines above. PATH begins below FOLDER. Each name is
** looked up from the descriptor of its folder; with -p, by its whole path. What a listing, lstat and the open file
** say about one file must agree: type, inode, size and the bytes that can be read. Status 1 if a call fails, 2 for wrong
** usage, 3 if they disagree.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- SHA-256, FIPS 180-4 ---- */

typedef struct {
  uint32_t h[8];
  uint64_t bytes;
  uint8_t block[64];
} Sha256;

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha256_begin(Sha256 *s) {
  static const uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(s->h, h, sizeof h);
  s->bytes = 0;
}

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256_schedule(uint32_t w[64], const uint8_t *block) {
  for (int i = 0; i < 16; i++, block += 4)
    w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
}

static void sha256_block(Sha256 *s, const uint8_t *block) {
  uint32_t w[64], v[8];
  sha256_schedule(w, block);
  memcpy(v, s->h, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]), majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    uint32_t one = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) + choice + sha256_k[i] + w[i];
    uint32_t two = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + majority;
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += one;
    v[0] = one + two;
  }
  for (int i = 0; i < 8; i++) s->h[i] += v[i];
}

static void sha256_add(Sha256 *s, const void *data, size_t bytes) {
  for (const uint8_t *at = data; bytes; at++, bytes--) {
    s->block[s->bytes++ % 64] = *at;
    if (s->bytes % 64 == 0) sha256_block(s, s->block);
  }
}

static void sha256_end(Sha256 *s, char hex[65]) {
  uint64_t bits = s->bytes * 8;
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = bits >> (56 - 8 * i);
  sha256_add(s, "\x80", 1);
  while (s->bytes % 64 != 56) sha256_add(s, "", 1);
  sha256_add(s, length, 8);
  for (int i = 0; i < 8; i++) snprintf(hex + 8 * i, 9, "%08x", s->h[i]);
}

/* ---- the walk ---- */

static int by_path;
static Sha256 lines;
static unsigned long files, links, folders;
static unsigned long long bytes_read;

static _Noreturn void fail(const char *path) {
  fflush(stdout);
  fprintf(stderr, "treehash: %s: %s\n", path, strerror(errno));
  exit(1);
}

static void agree(int yes, const char *path, const char *on) {
  if (yes) return;
  fflush(stdout);
  fprintf(stderr, "treehash: %s: %s differs\n", path, on);
  exit(3);
}

static void print_line(const char *format, ...) {
  char line[8192];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  sha256_add(&lines, line, length < (int)sizeof line ? length : (int)sizeof line - 1);
  fputs(line, stdout);
}

static char *join(const char *folder, const char *name) {
  char *path = malloc(strlen(folder) + strlen(name) + 2);
  if (!path) fail(name);
  sprintf(path, "%s/%s", folder, name);
  return path;
}

/* One thing to look at: `at` and `name` say where to look it up, `path` what to call it. */
typedef struct {
  int at;
  const char *name, *path;
} Place;

static size_t root_length; /* what is printed of a path begins behind that of FOLDER */

static const char *below_root(const char *path) { return path + root_length + 1; }

static void hash_file(Place p, const struct stat *st) {
  static uint8_t buffer[65536];
  Sha256 hash;
  char hex[65];
  struct stat opened;
  ssize_t got;
  int fd = openat(p.at, p.name, O_RDONLY);
  if (fd < 0 || fstat(fd, &opened)) fail(p.path);
  agree(opened.st_ino == st->st_ino && opened.st_size == st->st_size, p.path, "the open file");
  sha256_begin(&hash);
  while ((got = read(fd, buffer, sizeof buffer)) > 0) sha256_add(&hash, buffer, got);
  if (got < 0) fail(p.path);
  close(fd);
  agree(hash.bytes == (uint64_t)st->st_size, p.path, "the length");
  files++, bytes_read += hash.bytes;
  sha256_end(&hash, hex);
  print_line("file %s %lld %s\n", hex, (long long)st->st_size, below_root(p.path));
}

static void read_link(Place p) {
  char target[4096];
  ssize_t length = readlinkat(p.at, p.name, target, sizeof target);
  if (length < 0) fail(p.path);
  links++;
  print_line("link %.*s %s\n", (int)length, target, below_root(p.path));
}

static int not_dots(const struct dirent *e) { return strcmp(e->d_name, ".") && strcmp(e->d_name, ".."); }

typedef struct {
  char *name;
  ino_t inode;
  unsigned char type;
} Entry;

static int by_name(const void *a, const void *b) { return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name); }

/* The entries of an open folder, sorted by the bytes of their names. */
static size_t entries_of(DIR *dir, const char *path, Entry **entries) {
  size_t count = 0, room = 0;
  struct dirent *e;
  *entries = NULL;
  while (errno = 0, e = readdir(dir)) {
    if (!not_dots(e)) continue;
    if (count == room && !(*entries = realloc(*entries, (room = room * 2 + 16) * sizeof **entries))) fail(path);
    (*entries)[count++] = (Entry){strdup(e->d_name), e->d_ino, e->d_type};
  }
  if (errno) fail(path);
  if (count) qsort(*entries, count, sizeof **entries, by_name);
  return count;
}

static void walk(Place folder);

static int same_type(unsigned char listed, mode_t mode) {
  return (listed == DT_DIR) == S_ISDIR(mode) && (listed == DT_REG) == S_ISREG(mode) && (listed == DT_LNK) == S_ISLNK(mode);
}

static void visit(Place p, const Entry *entry) {
  struct stat st;
  if (fstatat(p.at, p.name, &st, AT_SYMLINK_NOFOLLOW)) fail(p.path);
  agree(same_type(entry->type, st.st_mode), p.path, "the type");
  agree(entry->inode == st.st_ino, p.path, "the inode");
  if (S_ISREG(st.st_mode)) hash_file(p, &st);
  else if (S_ISLNK(st.st_mode)) read_link(p);
  else if (S_ISDIR(st.st_mode)) folders++, print_line("folder %s\n", below_root(p.path)), walk(p);
  else print_line("other %s\n", below_root(p.path));
}

static void walk(Place folder) {
  Entry *entries;
  int fd = openat(folder.at, folder.name, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) fail(folder.path);
  size_t count = entries_of(dir, folder.path, &entries);
  for (size_t i = 0; i < count; i++) {
    char *path = join(folder.path, entries[i].name);
    visit(by_path ? (Place){AT_FDCWD, path, path} : (Place){fd, entries[i].name, path}, &entries[i]);
    free(path);
    free(entries[i].name);
  }
  free(entries);
  closedir(dir);
}

int main(int argc, char **argv) {
  char hex[65];
  by_path = argc > 1 && !strcmp(argv[1], "-p");
  if (argc != 2 + by_path) return fputs("usage: treehash [-p] FOLDER\n", stderr), 2;
  const char *root = argv[1 + by_path];
  root_length = strlen(root);
  sha256_begin(&lines);
  walk((Place){AT_FDCWD, root, root});
  sha256_end(&lines, hex);
  printf("%lu files, %lu links, %lu folders, %llu bytes, sha256 %s\n", files, links, folders, bytes_read, hex);
  return fflush(stdout) ? 1 : 0;
}
