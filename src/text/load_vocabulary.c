/* A tokenizer from vocab.txt, a token a line, and tokenizer_config.json beside it. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CHARS 100
#define PREFIX    "##"

typedef enum special { SPECIAL_UNKNOWN, SPECIAL_CLS, SPECIAL_SEP, SPECIAL_PAD, SPECIAL_MASK, SPECIALS } special;

/* The special tokens: their key in tokenizer_config.json, what they are without it, whether a model can do without. */
static const struct {
  const char *key, *fallback;
  bool required;
} specials[SPECIALS] = { [SPECIAL_UNKNOWN] = { "unk_token", "[UNK]", true },
                         [SPECIAL_CLS] = { "cls_token", "[CLS]", true },
                         [SPECIAL_SEP] = { "sep_token", "[SEP]", true },
                         [SPECIAL_PAD] = { "pad_token", "[PAD]", false },
                         [SPECIAL_MASK] = { "mask_token", "[MASK]", false } };

static adamix_err
read_vocabulary (adamix_vocabulary *out, const char *path)
{
  adamix_err err = ADAMIX_OK;
  adamix_file_map map;
  int64_t lines = 0;
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, path));
  const char *end = map.data + map.size;
  for (const char *at = map.data; at < end; lines++) adamix_take_line (&at, end);
  int64_t bad = adamix_utf8_check (map.data, map.size);
  if (bad >= 0 || lines >= INT32_MAX)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "%s: not a vocabulary in UTF-8, byte %lld is wrong", path,
                                (long long) bad + 1));
  ADAMIX_TRY (adamix_vocabulary_init (out, lines, map.size));
  int32_t id = 0;
  for (const char *at = map.data; at < end; id++) {
    const char *line = at;
    size_t bytes = adamix_take_line (&at, end);
    adamix_vocabulary_add (out, line, bytes, id);
  }
done:
  adamix_file_map_close (&map);
  return err;
}

/* A special token is a string, or an object with a "content". */
static adamix_err
special_text (const json_t *config, const char *path, special which, const char **text)
{
  const json_t *value = json_object_get (config, specials[which].key);
  *text = specials[which].fallback;
  if (json_is_object (value)) return adamix_json_string (value, path, "content", true, text);
  return adamix_json_string (config, path, specials[which].key, false, text);
}

static adamix_err
find_specials (adamix_tokenizer *out, const json_t *config, const char *path, int32_t id[SPECIALS])
{
  for (special which = 0; which < SPECIALS; which++) {
    const char *text;
    ADAMIX_RETURN_IF (special_text (config, path, which, &text));
    id[which] = adamix_vocabulary_find (&out->vocabulary, text, strlen (text));
    if (id[which] < 0 && specials[which].required)
      return adamix_err_set (ADAMIX_EFORMAT, "%s: the special token \"%s\" (%s) is not in the vocabulary", path, text,
                             specials[which].key);
    adamix_added_token token = { .content = (char *) text };
    if (id[which] >= 0) ADAMIX_RETURN_IF (adamix_tokenizer_announce (out, &token));
  }
  return ADAMIX_OK;
}

static adamix_err
read_flags (const json_t *config, const char *path, adamix_normalizer_flags *flags)
{
  *flags = (adamix_normalizer_flags){ .clean_text = true, .handle_cjk = true, .lowercase = true };
  ADAMIX_RETURN_IF (adamix_json_boolean (config, path, "do_lower_case", false, &flags->lowercase));
  ADAMIX_RETURN_IF (adamix_json_boolean (config, path, "tokenize_chinese_chars", false, &flags->handle_cjk));
  flags->strip_accents = flags->lowercase;
  return adamix_json_boolean (config, path, "strip_accents", false, &flags->strip_accents);
}

adamix_err
adamix_tokenizer_load_vocabulary (adamix_tokenizer *out, const char *dir, const char *path)
{
  adamix_err err = ADAMIX_OK;
  char *config_path = NULL;
  json_t *config = NULL;
  adamix_normalizer_flags flags;
  int32_t id[SPECIALS];
  ADAMIX_TRY (adamix_path_join (&config_path, dir, "tokenizer_config.json"));
  if (adamix_path_exists (config_path)) ADAMIX_TRY (adamix_json_load (&config, config_path));
  ADAMIX_TRY (read_flags (config, config_path, &flags));
  ADAMIX_TRY (adamix_normalizer_init (&out->normalizer, flags));
  ADAMIX_TRY (read_vocabulary (&out->vocabulary, path));
  ADAMIX_TRY (adamix_wordpiece_init (&out->wordpiece, PREFIX));
  out->kind = &adamix_kind_wordpiece;
  out->ids = out->vocabulary.ids;
  ADAMIX_TRY (find_specials (out, config, path, id));
  out->wordpiece.max_chars = MAX_CHARS;
  out->wordpiece.unknown = id[SPECIAL_UNKNOWN];
  adamix_template_bert (out->pattern, id[SPECIAL_CLS], id[SPECIAL_SEP]);
done:
  json_decref (config);
  free (config_path);
  return err;
}
