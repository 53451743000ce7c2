/* Byte-level BPE of a tokenizer.json. */
#include "text/load_json.h"

#include <string.h>

/* What changes the encoding in ways that are not known here; each is off when it is absent, null, false, 0 or "". */
static const char *const refused[] = { "dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                                       "byte_fallback" };

static bool
is_off (const json_t *value)
{
  return !value || json_is_null (value) || json_is_false (value) ||
         (json_is_number (value) && json_number_value (value) == 0) ||
         (json_is_string (value) && json_string_length (value) == 0);
}

static adamix_err
check_settings (const adamix_json_loader *l, const json_t *model)
{
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (!is_off (json_object_get (model, refused[i])))
      return adamix_err_set (ADAMIX_EUNSUPPORTED,
                             "%s: the tokenizer's model sets \"%s\"; only byte-level BPE without it is supported",
                             l->path, refused[i]);
  return ADAMIX_OK;
}

/* "a b" or ["a", "b"]. */
static adamix_err
load_merge (const adamix_json_loader *l, const json_t *merge)
{
  const char *left = json_string_value (json_array_get (merge, 0)),
             *right = json_string_value (json_array_get (merge, 1)), *text = json_string_value (merge);
  if (text) {
    left = text;
    right = strchr (text, ' ');
    if (right && strchr (++right, ' ')) right = NULL;
  } else if (json_array_size (merge) != 2)
    left = NULL;
  if (!left || !right) return adamix_err_set (ADAMIX_EFORMAT, "it is not \"a b\" or [\"a\", \"b\"]");
  return adamix_bpe_add_merge (&l->out->bpe, &l->out->vocabulary, left,
                               text ? (size_t) (right - left - 1) : strlen (left), right, strlen (right));
}

static adamix_err
load_merges (const adamix_json_loader *l, const json_t *model)
{
  const json_t *list = json_object_get (model, "merges"), *merge;
  size_t i;
  if (!json_is_array (list)) return adamix_json_malformed (l, "\"model\" has no list \"merges\"");
  ADAMIX_RETURN_IF (adamix_bpe_init (&l->out->bpe, (int64_t) json_array_size (list)));
  json_array_foreach (list, i, merge)
  {
    adamix_err err = load_merge (l, merge);
    if (err != ADAMIX_OK) return adamix_err_prefix (err, "%s: merge %zu", l->path, i + 1);
  }
  return ADAMIX_OK;
}

static adamix_err
load_pre_tokenizer (const adamix_json_loader *l)
{
  const json_t *section = json_object_get (l->root, "pre_tokenizer");
  adamix_bpe *bpe = &l->out->bpe;
  ADAMIX_RETURN_IF (adamix_json_require (l, "pre_tokenizer", "ByteLevel"));
  ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "add_prefix_space", true, &bpe->add_prefix_space));
  bpe->split = true;
  return adamix_json_boolean (section, l->path, "use_regex", false, &bpe->split);
}

static adamix_err
refuse_normalizer (const adamix_json_loader *l)
{
  const json_t *section;
  const char *type;
  ADAMIX_RETURN_IF (adamix_json_section (l, "normalizer", &section, &type));
  if (!section || json_is_null (section)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUNSUPPORTED,
                         "%s: the tokenizer's normalizer is %s; with BPE only none (null) is supported", l->path,
                         type ? type : "of no known type");
}

adamix_err
adamix_json_load_bpe (const adamix_json_loader *l)
{
  const json_t *model = json_object_get (l->root, "model");
  adamix_bpe_settings settings = { 0 };
  ADAMIX_RETURN_IF (check_settings (l, model));
  ADAMIX_RETURN_IF (adamix_json_string (model, l->path, "unk_token", false, &settings.unknown));
  ADAMIX_RETURN_IF (adamix_json_boolean (model, l->path, "ignore_merges", false, &settings.whole_words));
  ADAMIX_RETURN_IF (load_pre_tokenizer (l));
  ADAMIX_RETURN_IF (refuse_normalizer (l));
  ADAMIX_RETURN_IF (adamix_json_load_vocabulary (l));
  ADAMIX_RETURN_IF (load_merges (l, model));
  adamix_err err = adamix_bpe_finish (&l->out->bpe, &l->out->vocabulary, settings);
  return err == ADAMIX_OK ? err : adamix_err_prefix (err, "%s", l->path);
}
