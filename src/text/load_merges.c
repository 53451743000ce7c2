/* Byte-level BPE from vocab.json and merges.txt, or encoder.json and vocab.bpe as GPT-2's release names them.  Special
 * tokens stand in tokenizer_config.json, special_tokens_map.json and added_tokens.json beside them, as transformers reads
 * them. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* ---- vocabulary and merges --------------------------------------------------------------------------------------------- */

static adamix_err
read_vocabulary (adamix_vocabulary *out, const char *path)
{
  json_t *root;
  ADAMIX_RETURN_IF (adamix_json_load (&root, path));
  adamix_err err = json_is_object (root) ? adamix_vocabulary_from_json (out, root, path)
                                         : adamix_err_set (ADAMIX_EFORMAT, "%s: not an object of tokens and ids", path);
  json_decref (root);
  return err;
}

static adamix_err
add_line (adamix_tokenizer *out, const char *line, size_t bytes)
{
  static const char comment[] = "#version";
  if (bytes >= strlen (comment) && memcmp (line, comment, strlen (comment)) == 0) return ADAMIX_OK;
  const char *blank = memchr (line, ' ', bytes), *end = line + bytes;
  if (!blank || memchr (blank + 1, ' ', (size_t) (end - blank - 1)))
    return adamix_err_set (ADAMIX_EFORMAT, "\"%.*s\" is not two tokens parted by one blank", (int) bytes, line);
  return adamix_bpe_add_merge (&out->bpe, &out->vocabulary, line, (size_t) (blank - line), blank + 1,
                               (size_t) (end - blank - 1));
}

static adamix_err
read_merges (adamix_tokenizer *out, const char *path)
{
  adamix_err err = ADAMIX_OK;
  adamix_file_map map;
  int64_t lines = 0, number = 1;
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, path));
  const char *end = map.data + map.size;
  int64_t bad = adamix_utf8_check (map.data, map.size);
  if (bad >= 0)
    ADAMIX_TRY (
        adamix_err_set (ADAMIX_EFORMAT, "%s: not merges in UTF-8, byte %lld is wrong", path, (long long) bad + 1));
  for (const char *at = map.data; at < end; lines++) adamix_take_line (&at, end);
  ADAMIX_TRY (adamix_bpe_init (&out->bpe, lines));
  for (const char *at = map.data; at < end; number++) {
    const char *line = at;
    size_t bytes = adamix_take_line (&at, end);
    err = add_line (out, line, bytes);
    if (err != ADAMIX_OK) ADAMIX_TRY (adamix_err_prefix (err, "%s: line %lld", path, (long long) number));
  }
done:
  adamix_file_map_close (&map);
  return err;
}

/* ---- special tokens ---------------------------------------------------------------------------------------------------- */

typedef enum special {
  SPECIAL_BOS,
  SPECIAL_EOS,
  SPECIAL_UNKNOWN,
  SPECIAL_SEP,
  SPECIAL_PAD,
  SPECIAL_CLS,
  SPECIAL_MASK,
  SPECIALS
} special;

static const char *const special_key[SPECIALS] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                                   "pad_token", "cls_token", "mask_token" };

/* The files beside the vocabulary that say more; NULL where one is not there. */
typedef struct settings {
  json_t *model, *config, *map, *added;
} settings;

static const struct {
  const char *file;
  size_t offset;
} setting_files[] = { { "config.json", offsetof (settings, model) },
                      { "tokenizer_config.json", offsetof (settings, config) },
                      { "special_tokens_map.json", offsetof (settings, map) },
                      { "added_tokens.json", offsetof (settings, added) } };

/* What a kind of model adds to its texts. */
typedef struct family {
  const char *model_type;
  const char *special[SPECIALS]; /* where nothing else is said; NULL: none */
  adamix_err (*fill_template) (adamix_tokenizer *out, const settings *s, const char *path,
                               const adamix_added_token special[SPECIALS]);
} family;

static adamix_err
find_special (const adamix_tokenizer *tokenizer, const char *path, special which, const adamix_added_token *token,
              int32_t *id)
{
  *id = token->content ? adamix_tokenizer_find (tokenizer, token->content) : -1;
  if (*id >= 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: the special token \"%s\" (%s) is not in the vocabulary", path,
                         token->content ? token->content : "", special_key[which]);
}

/* <s> a </s>, <s> a </s></s> b </s> */
static adamix_err
fill_roberta (adamix_tokenizer *out, const settings *s, const char *path, const adamix_added_token special[SPECIALS])
{
  int32_t cls, sep;
  (void) s;
  ADAMIX_RETURN_IF (find_special (out, path, SPECIAL_CLS, &special[SPECIAL_CLS], &cls));
  ADAMIX_RETURN_IF (find_special (out, path, SPECIAL_SEP, &special[SPECIAL_SEP], &sep));
  adamix_template_roberta (out->pattern, cls, sep);
  return ADAMIX_OK;
}

/* Nothing but the texts, unless the configuration asks for tokens around them. */
static adamix_err
fill_gpt2 (adamix_tokenizer *out, const settings *s, const char *path, const adamix_added_token special[SPECIALS])
{
  bool add_bos = false, add_eos = false;
  int32_t bos = -1, eos = -1;
  ADAMIX_RETURN_IF (adamix_json_boolean (s->config, "tokenizer_config.json", "add_bos_token", false, &add_bos));
  ADAMIX_RETURN_IF (adamix_json_boolean (s->config, "tokenizer_config.json", "add_eos_token", false, &add_eos));
  if (add_bos) ADAMIX_RETURN_IF (find_special (out, path, SPECIAL_BOS, &special[SPECIAL_BOS], &bos));
  if (add_eos) ADAMIX_RETURN_IF (find_special (out, path, SPECIAL_EOS, &special[SPECIAL_EOS], &eos));
  adamix_template_plain (out->pattern, bos, eos);
  return ADAMIX_OK;
}

static const family families[] = {
  { "gpt2", { "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, NULL, NULL, NULL }, fill_gpt2 },
  { "roberta", { "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" }, fill_roberta }
};
#define FAMILIES (sizeof families / sizeof families[0])

/* As config.json says; where it does not, by RoBERTa's first token. */
static adamix_err
choose_family (const adamix_tokenizer *tokenizer, const settings *s, const char *dir, const family **out)
{
  const char *type = NULL;
  ADAMIX_RETURN_IF (adamix_json_string (s->model, dir, "model_type", false, &type));
  for (size_t i = 0; i < FAMILIES && type; i++)
    if (strcmp (type, families[i].model_type) == 0) {
      *out = &families[i];
      return ADAMIX_OK;
    }
  *out = &families[adamix_tokenizer_find (tokenizer, "<s>") >= 0];
  return ADAMIX_OK;
}

/* A token is a string, or an object with a "content" and flags. */
static adamix_err
read_token (adamix_added_token *out, const json_t *value, const char *dir)
{
  if (json_is_object (value)) return adamix_added_from_json (out, value, dir, true);
  if (!json_is_string (value))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: a special token of the tokenizer's files is not a string", dir);
  *out = (adamix_added_token){ .content = (char *) json_string_value (value) };
  return ADAMIX_OK;
}

/* The special tokens by name; content NULL: none.  Those that are only taken for granted must be in the vocabulary. */
static adamix_err
read_specials (const adamix_tokenizer *tokenizer, const settings *s, const family *family, const char *dir,
               adamix_added_token out[SPECIALS])
{
  for (special which = 0; which < SPECIALS; which++) {
    const json_t *value = json_object_get (s->map, special_key[which]);
    if (!value) value = json_object_get (s->config, special_key[which]);
    out[which] = (adamix_added_token){ 0 };
    if (value && !json_is_null (value))
      ADAMIX_RETURN_IF (read_token (&out[which], value, dir));
    else if (family->special[which] && adamix_tokenizer_find (tokenizer, family->special[which]) >= 0)
      out[which].content = (char *) family->special[which];
  }
  return ADAMIX_OK;
}

/* ---- added tokens ------------------------------------------------------------------------------------------------------ */

typedef struct numbered {
  int64_t number;
  adamix_added_token token;
} numbered;

static int
by_number (const void *a, const void *b)
{
  const numbered *x = a, *y = b;
  return (x->number > y->number) - (x->number < y->number);
}

/* {"50265": {"content": "<x>", ...}} of tokenizer_config.json. */
static adamix_err
read_decoder_row (numbered *out, const char *key, const json_t *value, const char *dir)
{
  char *end;
  out->number = strtoll (key, &end, 10);
  if (*end || !json_is_object (value))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\" of \"added_tokens_decoder\" is not an id with a token", dir,
                           key);
  return adamix_added_from_json (&out->token, value, dir, false);
}

/* {"<x>": 50265} of added_tokens.json. */
static adamix_err
read_added_row (numbered *out, const char *key, const json_t *value, const char *dir,
                const adamix_added_token special[SPECIALS])
{
  if (!json_is_integer (value))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: the id of \"%s\" in added_tokens.json is not a number", dir, key);
  *out = (numbered){ json_integer_value (value), { .content = (char *) key, .normalized = true } };
  for (enum special which = 0; which < SPECIALS; which++)
    if (special[which].content && strcmp (special[which].content, key) == 0) out->token = special[which];
  return ADAMIX_OK;
}

/* In the order of their numbers, which say nothing else. */
static adamix_err
announce_added (adamix_tokenizer *out, const settings *s, const char *dir, const adamix_added_token special[SPECIALS])
{
  adamix_err err = ADAMIX_OK;
  json_t *decoder = json_object_get (s->config, "added_tokens_decoder"), *list = decoder ? decoder : s->added, *value;
  const char *key;
  numbered *row = NULL;
  int64_t rows = 0;
  ADAMIX_TRY (ADAMIX_ALLOC (row, (int64_t) json_object_size (list)));
  json_object_foreach (list, key, value)
  {
    ADAMIX_TRY (decoder ? read_decoder_row (&row[rows], key, value, dir)
                        : read_added_row (&row[rows], key, value, dir, special));
    rows++;
  }
  qsort (row, (size_t) rows, sizeof *row, by_number);
  for (int64_t i = 0; i < rows; i++) ADAMIX_TRY (adamix_tokenizer_announce (out, &row[i].token));
done:
  free (row);
  return err;
}

/* Lists of further special tokens. */
static adamix_err
announce_extra (adamix_tokenizer *out, const json_t *file, const char *dir)
{
  static const char *const keys[] = { "extra_special_tokens", "additional_special_tokens" };
  for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
    const json_t *list = json_object_get (file, keys[k]), *value;
    size_t i;
    json_array_foreach (list, i, value)
    {
      adamix_added_token token;
      ADAMIX_RETURN_IF (read_token (&token, value, dir));
      ADAMIX_RETURN_IF (adamix_tokenizer_announce (out, &token));
    }
  }
  return ADAMIX_OK;
}

static adamix_err
set_specials (adamix_tokenizer *out, const settings *s, const char *dir, const char *path)
{
  const family *family;
  adamix_added_token special[SPECIALS];
  ADAMIX_RETURN_IF (choose_family (out, s, dir, &family));
  ADAMIX_RETURN_IF (read_specials (out, s, family, dir, special));
  ADAMIX_RETURN_IF (announce_added (out, s, dir, special));
  for (enum special which = 0; which < SPECIALS; which++)
    if (special[which].content) ADAMIX_RETURN_IF (adamix_tokenizer_announce (out, &special[which]));
  ADAMIX_RETURN_IF (announce_extra (out, s->config, dir));
  ADAMIX_RETURN_IF (announce_extra (out, s->map, dir));
  return family->fill_template (out, s, path, special);
}

/* ---- the whole --------------------------------------------------------------------------------------------------------- */

static adamix_err
read_settings (settings *out, const char *dir)
{
  for (size_t i = 0; i < sizeof setting_files / sizeof setting_files[0]; i++) {
    char *path;
    ADAMIX_RETURN_IF (adamix_path_join (&path, dir, setting_files[i].file));
    json_t **file = (json_t **) ((char *) out + setting_files[i].offset);
    adamix_err err = adamix_path_exists (path) ? adamix_json_load (file, path) : ADAMIX_OK;
    free (path);
    ADAMIX_RETURN_IF (err);
  }
  return ADAMIX_OK;
}

/* transformers reads special_tokens_map.json and added_tokens.json only where the configuration does not list all. */
static void
drop_overruled (settings *s)
{
  if (!json_object_get (s->config, "added_tokens_decoder")) return;
  json_decref (s->map);
  json_decref (s->added);
  s->map = s->added = NULL;
}

static void
free_settings (settings *s)
{
  json_decref (s->added);
  json_decref (s->map);
  json_decref (s->config);
  json_decref (s->model);
}

/* The name of the merges that go with a vocabulary. */
static adamix_err
merges_path (char **out, const char *dir, const char *vocabulary)
{
  static const char *const pair[][2] = { { "vocab.json", "merges.txt" }, { "encoder.json", "vocab.bpe" } };
  size_t which = 0, bytes = strlen (vocabulary);
  for (size_t i = 0; i < 2; i++)
    if (bytes >= strlen (pair[i][0]) && strcmp (vocabulary + bytes - strlen (pair[i][0]), pair[i][0]) == 0) which = i;
  return adamix_path_join (out, dir, pair[which][1]);
}

adamix_err
adamix_tokenizer_load_merges (adamix_tokenizer *out, const char *dir, const char *path)
{
  adamix_err err = ADAMIX_OK;
  settings s = { 0 };
  char *merges = NULL;
  out->kind = &adamix_kind_bpe;
  out->bpe.split = true;
  ADAMIX_TRY (merges_path (&merges, dir, path));
  ADAMIX_TRY (read_settings (&s, dir));
  drop_overruled (&s);
  ADAMIX_TRY (adamix_json_boolean (s.config, dir, "add_prefix_space", false, &out->bpe.add_prefix_space));
  ADAMIX_TRY (read_vocabulary (&out->vocabulary, path));
  out->ids = out->vocabulary.ids;
  ADAMIX_TRY (read_merges (out, merges));
  err = adamix_bpe_finish (&out->bpe, &out->vocabulary, (adamix_bpe_settings){ 0 });
  if (err != ADAMIX_OK) ADAMIX_TRY (adamix_err_prefix (err, "%s", path));
  ADAMIX_TRY (set_specials (out, &s, dir, path));
done:
  free_settings (&s);
  free (merges);
  return err;
}
