#include "driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct encode_config {
  const char *model;
  int64_t max_length;
} encode_config;

static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, offsetof (encode_config, model), NULL, NULL, 0, 0, "DIR",
    "model folder with tokenizer.json, vocab.txt or vocab.json and merges.txt" },
  { "max-length", ADAMIX_OPTION_INTEGER, offsetof (encode_config, max_length), "0", NULL, 0, 1e9, "N",
    "cut to N tokens, longest text of a pair first; 0: never" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

static adamix_err
encode_line (const adamix_tokenizer *tokenizer, char *line, size_t bytes, int64_t number, int64_t max_length,
             adamix_encoding *encoding)
{
  int64_t bad = adamix_utf8_check (line, bytes);
  if (bad >= 0)
    return adamix_err_set (ADAMIX_EDATA, "standard input, line %lld: not valid UTF-8 at byte %lld", (long long) number,
                           (long long) bad + 1);
  char *tab = memchr (line, '\t', bytes);
  size_t a = tab ? (size_t) (tab - line) : bytes;
  return adamix_tokenizer_encode (tokenizer, line, a, tab ? tab + 1 : NULL, tab ? bytes - a - 1 : 0, max_length,
                                  encoding);
}

/* printf would take longer than the tokenizer. */
static void
print_id (int32_t id)
{
  char text[12], *at = text + sizeof text;
  do *--at = (char) ('0' + id % 10);
  while (id /= 10);
  fwrite (at, 1, (size_t) (text + sizeof text - at), stdout);
}

static void
print_ids (const adamix_encoding *encoding)
{
  for (int64_t i = 0; i < encoding->count; i++) {
    if (i) putchar (' ');
    print_id (encoding->id[i]);
  }
  putchar ('\n');
}

int
driver_encode (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  encode_config config = { 0 };
  adamix_options *options = NULL;
  adamix_tokenizer *tokenizer = NULL;
  adamix_encoding encoding = { 0 };
  char *line = NULL;
  size_t capacity = 0;
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (driver_parse (&options, table, ROWS, argc, argv, &config));
  ADAMIX_TRY (driver_require (self, "model", config.model));
  ADAMIX_TRY (adamix_tokenizer_open (&tokenizer, config.model));
  int64_t number = 1;
  for (ssize_t n; (n = ADAMIX_FAULT (stream_read) ? -1 : getline (&line, &capacity, stdin)) >= 0; number++) {
    if (n > 0 && line[n - 1] == '\n') n--;
    if (n > 0 && line[n - 1] == '\r') n--;
    ADAMIX_TRY (encode_line (tokenizer, line, (size_t) n, number, config.max_length, &encoding));
    print_ids (&encoding);
  }
  if (!feof (stdin)) err = adamix_err_set (ADAMIX_EIO, "cannot read standard input: %s", strerror (errno));
done:
  free (line);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
