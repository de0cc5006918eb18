// Searches the tables of the tz database for the words of the query, as a CGI program: prints a JSON array of the zones whose name,
// countries or comment hold all of them, whatever the case.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 1024, WORDS = 8, COUNTRIES = 512 };

static char country_names[COUNTRIES][64];
static char country_codes[COUNTRIES][3];
static int country_count;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static FILE *table(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  return file;
}

// The next line that is no comment, without its end.
static int next_line(FILE *file, char *line) {
  while (fgets(line, LINE, file)) {
    line[strcspn(line, "\n")] = 0;
    if (*line && *line != '#') return 1;
  }
  return 0;
}

static void read_countries(void) {
  FILE *file = table("/tables/iso3166.tab");
  char line[LINE];
  while (country_count < COUNTRIES && next_line(file, line)) {
    if (line[2] != '\t') continue;
    memcpy(country_codes[country_count], line, 2);
    snprintf(country_names[country_count++], sizeof *country_names, "%s", line + 3);
  }
  fclose(file);
}

static const char *country(const char *code) {
  for (int i = 0; i < country_count; i++)
    if (!strncmp(country_codes[i], code, 2)) return country_names[i];
  return "?";
}

static int hex(char c) {
  return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

// The value of `q`, decoded and in lower case.
static void query(char *out, size_t size) {
  const char *text = getenv("QUERY_STRING");
  size_t len = 0;
  while (text && strncmp(text, "q=", 2)) {
    text = strchr(text, '&');
    if (text) text++;
  }
  for (text = text ? text + 2 : ""; *text && *text != '&' && len + 1 < size; text++) {
    int c = *text == '+' ? ' ' : *text;
    if (c == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
      c = hex(text[1]) << 4 | hex(text[2]);
      text += 2;
    }
    out[len++] = (char)tolower((unsigned char)c);
  }
  out[len] = 0;
}

static int holds(const char *text, char *words[], int count) {
  char lower[2 * LINE];
  size_t len = 0;
  for (; *text && len + 1 < sizeof lower; text++) lower[len++] = *text == '_' ? ' ' : (char)tolower((unsigned char)*text);
  lower[len] = 0;
  for (int i = 0; i < count; i++)
    if (!strstr(lower, words[i])) return 0;
  return 1;
}

static void print_string(const char *text) {
  putchar('"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') putchar('\\');
    if (c < ' ') printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

static void print_zone(const char *zone, const char *codes, const char *comment) {
  fputs("{\"zone\":", stdout);
  print_string(zone);
  fputs(",\"countries\":[", stdout);
  for (const char *code = codes; strlen(code) >= 2; code += 2 + (code[2] == ',')) {
    if (code != codes) putchar(',');
    print_string(country(code));
  }
  fputs("],\"comment\":", stdout);
  print_string(comment);
  putchar('}');
}

int main(void) {
  char wanted[256], line[LINE], all[2 * LINE];
  char *words[WORDS];
  int count = 0, found = 0;
  query(wanted, sizeof wanted);
  for (char *word = strtok(wanted, " "); word && count < WORDS; word = strtok(NULL, " ")) words[count++] = word;
  read_countries();
  FILE *file = table("/tables/zone1970.tab");
  fputs("Content-Type: application/json\n\n[", stdout);
  while (next_line(file, line)) {
    char *place = strchr(line, '\t'), *zone = place ? strchr(place + 1, '\t') : NULL;
    if (!zone) continue;
    *place = *zone++ = 0;
    char *comment = strchr(zone, '\t');
    if (comment) *comment++ = 0;
    int len = snprintf(all, sizeof all, "%s %s", zone, comment ? comment : "");
    for (const char *code = line; strlen(code) >= 2 && len < (int)sizeof all - 70; code += 2 + (code[2] == ','))
      len += snprintf(all + len, sizeof all - (size_t)len, " %s", country(code));
    if (!holds(all, words, count)) continue;
    if (found++) putchar(',');
    print_zone(zone, line, comment ? comment : "");
  }
  puts("]");
  return 0;
}
