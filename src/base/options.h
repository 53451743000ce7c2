/* base/options.h - the value table behind adamix_options, shared by the files that set, store and print it. */
#ifndef ADAMIX_BASE_OPTIONS_H
#define ADAMIX_BASE_OPTIONS_H

#include <adamix/base.h>

/* The text in force of one row of the option table. */
typedef struct value {
  char *text; /* owned; NULL: none */
  adamix_option_source source;
  bool seen; /* given in the command line or file that is being read: a second time is an error */
} value;

struct adamix_options {
  const adamix_option *table; /* borrowed */
  value *value;               /* [count] */
  int count;
};

/* What an option's text means; the member of its kind is set. */
typedef struct adamix_option_converted {
  int64_t integer;
  double real;
  bool flag;
  int choice;
} adamix_option_converted;

/* Check and convert `text`.  Errors: EUSAGE, naming the option and what is allowed. */
adamix_err adamix_option_convert (const adamix_option *option, const char *text, adamix_option_converted *out);

#endif
