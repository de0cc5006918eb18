/*
** A small shell for SQLite: it runs a script against a database.
**
**     sqlite DATABASE [SCRIPT]        SCRIPT left out: standard input
**
** A script holds SQL statements, each ended by a semicolon, whose results are printed as aligned tables, and directives,
** one a line, of which the words between the name and the last are divided by spaces:
**
**     .print TEXT                     print a line
**     .echo on|off                    show statements and directives (off at first)
**     .import FILE TABLE              insert the lines of a file, cut at tabs, into a table that exists
**     .files FOLDER...                list what is in folders, and below
**
** The first error ends the run: it is told on standard error with the script's name and line, and the status is 1.
*/
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sqlite3.h"

enum { COLUMNS = 32 }; /* the most columns that a result or an imported table may have */

static sqlite3 *db;
static const char *script_name;
static int script_line; /* where the statement or directive being run begins */
static int echo;

/* ---- errors and memory ---- */

/* Rolls back what is open, so that no lock and no journal stay behind. */
static void close_database(void) {
  sqlite3_stmt *statement;
  while ((statement = sqlite3_next_stmt(db, NULL))) sqlite3_finalize(statement);
  sqlite3_close(db);
}

static _Noreturn void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  if (script_line) fprintf(stderr, "%s:%d: ", script_name, script_line);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  if (db) close_database();
  exit(1);
}

static void check(int status) {
  if (status != SQLITE_OK && status != SQLITE_ROW && status != SQLITE_DONE) fail("%s", sqlite3_errmsg(db));
}

static void *grow(void *memory, size_t bytes) {
  void *grown = realloc(memory, bytes);
  if (!grown) fail("out of memory");
  return grown;
}

static char *copy(const char *text) { return strcpy(grow(NULL, strlen(text) + 1), text); }

/* ---- results as tables ---- */

typedef struct {
  char *text;
  int right; /* numbers are set to the right */
} Cell;

typedef struct {
  int columns;
  size_t cells, room; /* the first row holds the headings */
  Cell *cell;
} Table;

/* Characters, not bytes: UTF-8 without its continuation bytes. */
static int width(const char *text) {
  int characters = 0;
  for (; *text; text++) characters += (*text & 0xC0) != 0x80;
  return characters;
}

static void add(Table *table, const char *text, int right) {
  if (table->cells == table->room) {
    table->room = table->room ? table->room * 2 : 64;
    table->cell = grow(table->cell, table->room * sizeof(Cell));
  }
  table->cell[table->cells++] = (Cell){copy(text), right};
}

static void add_row(Table *table, sqlite3_stmt *statement) {
  for (int i = 0; i < table->columns; i++) {
    int type = sqlite3_column_type(statement, i);
    const char *text = (const char *)sqlite3_column_text(statement, i);
    add(table, text ? text : "", type == SQLITE_INTEGER || type == SQLITE_FLOAT);
  }
}

static void print_cell(const Cell *cell, int columns_wide, int last) {
  int pad = columns_wide - width(cell->text);
  if (cell->right) printf("%*s%s", pad, "", cell->text);
  else printf("%s%*s", cell->text, last ? 0 : pad, "");
  fputs(last ? "\n" : "  ", stdout);
}

static void print_rule(const int *wide, int columns) {
  for (int i = 0; i < columns; i++) {
    for (int n = 0; n < wide[i]; n++) putchar('-');
    fputs(i + 1 < columns ? "  " : "\n", stdout);
  }
}

static void print_table(Table *table) {
  int wide[COLUMNS] = {0}, columns = table->columns;
  for (size_t i = 0; i < table->cells; i++) {
    int w = width(table->cell[i].text);
    if (w > wide[i % columns]) wide[i % columns] = w;
    table->cell[i % columns].right |= table->cell[i].right; /* a heading stands as the numbers below it */
  }
  for (size_t i = 0; i < table->cells; i++) {
    int column = i % columns;
    if (i == (size_t)columns) print_rule(wide, columns);
    print_cell(&table->cell[i], wide[column], column + 1 == columns);
  }
  putchar('\n');
}

static void drop(Table *table) {
  for (size_t i = 0; i < table->cells; i++) free(table->cell[i].text);
  free(table->cell);
}

/* ---- statements ---- */

static void step_through(sqlite3_stmt *statement) {
  Table table = {.columns = sqlite3_column_count(statement)};
  int status;
  if (table.columns > COLUMNS) fail("more than %d columns", COLUMNS);
  for (int i = 0; i < table.columns; i++) add(&table, sqlite3_column_name(statement, i), 0);
  while ((status = sqlite3_step(statement)) == SQLITE_ROW) add_row(&table, statement);
  check(status);
  if (table.cells > (size_t)table.columns) print_table(&table);
  drop(&table);
}

static void run_sql(const char *sql) {
  sqlite3_stmt *statement;
  if (echo) fputs(sql, stdout);
  while (*sql) {
    check(sqlite3_prepare_v2(db, sql, -1, &statement, &sql));
    if (statement) step_through(statement);
    check(sqlite3_finalize(statement));
  }
}

/* ---- directives ---- */

/* One line without its end; NULL at the end of the file. */
static char *read_line(FILE *file, char **line, size_t *room) {
  ssize_t length = getline(line, room, file);
  if (length < 0) return NULL;
  while (length && strchr("\r\n", (*line)[length - 1])) (*line)[--length] = 0;
  return *line;
}

static FILE *open_text(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail("%s: %s", path, strerror(errno));
  return file;
}

/* INSERT INTO table VALUES(?,...) with as many parameters as the table has columns. */
static sqlite3_stmt *insert_into(const char *table) {
  sqlite3_stmt *statement;
  char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", table);
  check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
  sqlite3_free(sql);
  int columns = sqlite3_column_count(statement);
  check(sqlite3_finalize(statement));
  if (columns > COLUMNS) fail("more than %d columns", COLUMNS);
  char marks[2 * COLUMNS + 1] = "";
  for (int i = 0; i < columns; i++) strcat(marks, i ? ",?" : "?");
  sql = sqlite3_mprintf("INSERT INTO \"%w\" VALUES(%s)", table, marks);
  check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
  sqlite3_free(sql);
  return statement;
}

/* The last column takes the rest of the line; columns that a line lacks are NULL. */
static void insert_line(sqlite3_stmt *insert, char *line) {
  int columns = sqlite3_bind_parameter_count(insert);
  for (int i = 1; i <= columns; i++) {
    char *tab = line && i < columns ? strchr(line, '\t') : NULL;
    if (tab) *tab = 0;
    check(sqlite3_bind_text(insert, i, line, -1, SQLITE_TRANSIENT));
    line = tab ? tab + 1 : NULL;
  }
  sqlite3_step(insert);
  check(sqlite3_reset(insert));
}

/* Empty lines and those that begin with # are left out. */
static void import(char *path, char *table) {
  char *line = NULL;
  size_t room = 0;
  FILE *file = open_text(path);
  sqlite3_stmt *insert = insert_into(table);
  check(sqlite3_exec(db, "SAVEPOINT import", NULL, NULL, NULL));
  while (read_line(file, &line, &room))
    if (*line && *line != '#') insert_line(insert, line);
  if (ferror(file)) fail("%s: %s", path, strerror(errno));
  check(sqlite3_exec(db, "RELEASE import", NULL, NULL, NULL));
  check(sqlite3_finalize(insert));
  free(line);
  fclose(file);
}

static int not_dots(const struct dirent *entry) { return strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."); }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void list(const char *path) {
  struct stat st;
  struct dirent **entry;
  if (lstat(path, &st)) fail("%s: %s", path, strerror(errno));
  if (S_ISREG(st.st_mode)) printf("%9lld  %s\n", (long long)st.st_size, path);
  else printf("%9s  %s%s\n", "", path, S_ISDIR(st.st_mode) ? "/" : "");
  if (!S_ISDIR(st.st_mode)) return;
  int entries = scandir(path, &entry, not_dots, by_name);
  if (entries < 0) fail("%s: %s", path, strerror(errno));
  for (int i = 0; i < entries; i++) {
    char *below = sqlite3_mprintf("%s/%s", path, entry[i]->d_name);
    list(below);
    sqlite3_free(below);
    free(entry[i]);
  }
  free(entry);
}

static void list_all(char *folders) {
  for (char *path = strtok(folders, " "); path; path = strtok(NULL, " ")) list(path);
  putchar('\n');
}

static int silent(const char *line) { return !strncmp(line, ".print", 6) || !strncmp(line, ".echo", 5); }

static void run_directive(char *line) {
  if (echo && !silent(line)) puts(line);
  char *rest = strchr(line, ' ');
  if (rest) *rest++ = 0;
  else rest = line + strlen(line);
  char *last = strrchr(rest, ' ');
  if (!strcmp(line, ".print")) puts(rest);
  else if (!strcmp(line, ".echo")) echo = !strcmp(rest, "on");
  else if (!strcmp(line, ".files")) list_all(rest);
  else if (!strcmp(line, ".import") && last) *last = 0, import(rest, last + 1);
  else fail("unknown directive %s %s", line, rest);
}

/* ---- the script ---- */

static int blank(const char *text) { return !text[strspn(text, " \t")]; }

static void run_script(FILE *script) {
  char *line = NULL, *sql = copy("");
  size_t room = 0;
  for (int number = 1; read_line(script, &line, &room); number++) {
    if (!*sql) script_line = number;
    if (!*sql && (blank(line) || !strncmp(line, "--", 2))) continue;
    if (!*sql && *line == '.') {
      run_directive(line);
      continue;
    }
    size_t length = strlen(sql);
    sql = grow(sql, length + strlen(line) + 2);
    sprintf(sql + length, "%s\n", line);
    if (sqlite3_complete(sql)) run_sql(sql), *sql = 0;
  }
  if (ferror(script)) fail("%s: %s", script_name, strerror(errno));
  if (*sql) fail("the statement has no end");
  free(sql);
  free(line);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    fputs("usage: sqlite DATABASE [SCRIPT]\n", stderr);
    return 2;
  }
  script_name = argc == 3 ? argv[2] : "standard input";
  FILE *script = argc == 3 ? open_text(script_name) : stdin;
  if (sqlite3_open(argv[1], &db)) fail("%s: %s", argv[1], sqlite3_errmsg(db));
  run_script(script);
  check(sqlite3_close(db));
  return fflush(stdout) ? 1 : 0;
}
