#include "base/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- text to value ----------------------------------------------------------------------------------------------- */

static bool
outside (const adamix_option *option, double value)
{
  bool bounded = option->min != 0 || option->max != 0;
  return bounded && (value < option->min || value > option->max);
}

static adamix_err
not_allowed (const adamix_option *option, const char *text, const char *kind)
{
  const char *format = "option --%s: \"%s\" is not allowed; expected %s";
  if (option->min == 0 && option->max == 0) return adamix_err_set (ADAMIX_EUSAGE, format, option->name, text, kind);
  char allowed[128];
  if (option->max == HUGE_VAL)
    snprintf (allowed, sizeof allowed, "%s of at least %g", kind, option->min);
  else
    snprintf (allowed, sizeof allowed, "%s from %.10g to %.10g", kind, option->min, option->max);
  return adamix_err_set (ADAMIX_EUSAGE, format, option->name, text, allowed);
}

static adamix_err
convert_string (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  (void) option;
  (void) text;
  (void) out;
  return ADAMIX_OK;
}

static adamix_err
convert_integer (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  enum { DECIMAL = 10 };
  char *end;
  errno = 0;
  out->integer = strtoll (text, &end, DECIMAL);
  if (end == text || *end || errno || outside (option, (double) out->integer))
    return not_allowed (option, text, "an integer");
  return ADAMIX_OK;
}

static adamix_err
convert_real (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  char *end;
  out->real = strtod (text, &end);
  if (end == text || *end || !isfinite (out->real) || outside (option, out->real))
    return not_allowed (option, text, "a number");
  return ADAMIX_OK;
}

static adamix_err
convert_size (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  enum { DECIMAL = 10 };
  static const char suffixes[] = "KMG";
  char *end;
  errno = 0;
  out->integer = strtoll (text, &end, DECIMAL);
  bool failed = end == text || errno;
  const char *suffix = *end ? strchr (suffixes, *end) : NULL;
  for (int64_t i = suffix ? suffix - suffixes : -1; i >= 0; i--)
    failed = failed || __builtin_mul_overflow (out->integer, (int64_t) 1024, &out->integer);
  end += suffix != NULL;
  if (failed || *end || outside (option, (double) out->integer))
    return not_allowed (option, text, "a number of bytes (also with K, M or G behind it)");
  return ADAMIX_OK;
}

static adamix_err
convert_flag (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  out->flag = strcmp (text, "true") == 0;
  return out->flag || strcmp (text, "false") == 0 ? ADAMIX_OK : not_allowed (option, text, "true or false");
}

static adamix_err
convert_choice (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  size_t length = strlen (text);
  out->choice = 0;
  for (const char *at = option->allowed;; at++, out->choice++) {
    size_t word = strcspn (at, "|");
    if (word == length && memcmp (at, text, length) == 0) return ADAMIX_OK;
    at += word;
    if (!*at) break;
  }
  return not_allowed (option, text, option->allowed);
}

/* ---- value to the command's struct and to JSON ------------------------------------------------------------------- */

static void
store_string (char *field, const char *text, const adamix_option_converted *converted)
{
  (void) converted;
  const char *view = *text ? text : NULL;
  memcpy (field, &view, sizeof view);
}

static void
store_integer (char *field, const char *text, const adamix_option_converted *converted)
{
  (void) text;
  memcpy (field, &converted->integer, sizeof converted->integer);
}

static void
store_real (char *field, const char *text, const adamix_option_converted *converted)
{
  (void) text;
  memcpy (field, &converted->real, sizeof converted->real);
}

static void
store_flag (char *field, const char *text, const adamix_option_converted *converted)
{
  (void) text;
  memcpy (field, &converted->flag, sizeof converted->flag);
}

static void
store_choice (char *field, const char *text, const adamix_option_converted *converted)
{
  (void) text;
  memcpy (field, &converted->choice, sizeof converted->choice);
}

static json_t *
json_of_text (const char *text, const adamix_option_converted *converted)
{
  (void) converted;
  return *text ? json_string (text) : json_null ();
}

static json_t *
json_of_integer (const char *text, const adamix_option_converted *converted)
{
  (void) text;
  return json_integer (converted->integer);
}

static json_t *
json_of_real (const char *text, const adamix_option_converted *converted)
{
  (void) text;
  return adamix_json_number (converted->real);
}

static json_t *
json_of_flag (const char *text, const adamix_option_converted *converted)
{
  (void) text;
  return json_boolean (converted->flag);
}

/* All that differs between kinds of options. */
static const struct {
  adamix_err (*convert) (const adamix_option *option, const char *text, adamix_option_converted *out);
  void (*store) (char *field, const char *text, const adamix_option_converted *converted);
  json_t *(*json) (const char *text, const adamix_option_converted *converted);
} kinds[] = {
  [ADAMIX_OPTION_STRING] = { convert_string, store_string, json_of_text },
  [ADAMIX_OPTION_INTEGER] = { convert_integer, store_integer, json_of_integer },
  [ADAMIX_OPTION_REAL] = { convert_real, store_real, json_of_real },
  [ADAMIX_OPTION_SIZE] = { convert_size, store_integer, json_of_integer },
  [ADAMIX_OPTION_FLAG] = { convert_flag, store_flag, json_of_flag },
  [ADAMIX_OPTION_CHOICE] = { convert_choice, store_choice, json_of_text },
};

adamix_err
adamix_option_convert (const adamix_option *option, const char *text, adamix_option_converted *out)
{
  *out = (adamix_option_converted){ 0 };
  return kinds[option->kind].convert (option, text, out);
}

adamix_err
adamix_options_store (const adamix_options *options, void *config)
{
  for (int i = 0; i < options->count; i++) {
    const adamix_option *option = &options->table[i];
    const char *text = options->value[i].text;
    adamix_option_converted converted;
    if (!text && option->kind != ADAMIX_OPTION_STRING) continue;
    if (!text) text = "";
    ADAMIX_RETURN_IF (adamix_option_convert (option, text, &converted));
    kinds[option->kind].store ((char *) config + option->offset, text, &converted);
  }
  return ADAMIX_OK;
}

json_t *
adamix_options_json (const adamix_options *options)
{
  json_t *object = json_object ();
  for (int i = 0; i < options->count && object; i++) {
    const adamix_option *option = &options->table[i];
    const char *text = options->value[i].text;
    adamix_option_converted converted;
    bool given = text && adamix_option_convert (option, text, &converted) == ADAMIX_OK;
    json_t *value = given ? kinds[option->kind].json (text, &converted) : json_null ();
    adamix_json_put (&object, option->name, value);
  }
  return object;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

static const value *
value_of (const adamix_options *options, const char *name)
{
  for (int i = 0; i < options->count; i++)
    if (strcmp (options->table[i].name, name) == 0) return &options->value[i];
  return NULL;
}

adamix_option_source
adamix_options_source (const adamix_options *options, const char *name)
{
  const value *value = value_of (options, name);
  return value ? value->source : ADAMIX_SOURCE_DEFAULT;
}

const char *
adamix_options_value (const adamix_options *options, const char *name)
{
  const value *value = value_of (options, name);
  return value ? value->text : NULL;
}
