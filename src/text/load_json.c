/* A tokenizer from tokenizer.json.  Its truncation and padding sections are not read: the caller gives the length. */
#include "text/tokenizer.h"

#include <string.h>

#define MAX_CHARS_DEFAULT 100

/* Where a message points to, and the tokenizer that is filled. */
typedef struct loader {
  const char *path;
  adamix_tokenizer *out;
} loader;

static adamix_err
malformed (const loader *l, const char *what)
{
  return adamix_err_set (ADAMIX_EFORMAT, "%s: %s; is it the tokenizer.json of a BERT model?", l->path, what);
}

/* "type" of a section; *type NULL where the section is absent or null. */
static adamix_err
type_of (const loader *l, const json_t *root, const char *section, const char **type)
{
  const json_t *value = json_object_get (root, section);
  *type = NULL;
  if (!value || json_is_null (value)) return ADAMIX_OK;
  if (!json_is_object (value)) return malformed (l, "a section is not an object");
  return adamix_json_string (value, l->path, "type", false, type);
}

static adamix_err
require_type (const loader *l, const json_t *root, const char *section, const char *wanted)
{
  const char *type;
  ADAMIX_RETURN_IF (type_of (l, root, section, &type));
  if (type && strcmp (type, wanted) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: the tokenizer's %s is %s; only %s is supported", l->path, section,
                         type ? type : "absent", wanted);
}

/* ---- normalizer ---------------------------------------------------------------------------------------------------- */

static adamix_err
load_normalizer (const loader *l, const json_t *root)
{
  const char *type;
  adamix_normalizer_flags flags = { 0 };
  ADAMIX_RETURN_IF (type_of (l, root, "normalizer", &type));
  if (type) {
    const json_t *section = json_object_get (root, "normalizer");
    ADAMIX_RETURN_IF (require_type (l, root, "normalizer", "BertNormalizer"));
    flags = (adamix_normalizer_flags){ .clean_text = true, .handle_cjk = true, .lowercase = true };
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "clean_text", false, &flags.clean_text));
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "handle_chinese_chars", false, &flags.handle_cjk));
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "lowercase", false, &flags.lowercase));
    flags.strip_accents = flags.lowercase;
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "strip_accents", false, &flags.strip_accents));
  }
  return adamix_normalizer_init (&l->out->normalizer, flags);
}

/* ---- model --------------------------------------------------------------------------------------------------------- */

static adamix_err
load_vocabulary (const loader *l, json_t *vocabulary, const char *prefix)
{
  adamix_wordpiece *wordpiece = &l->out->wordpiece;
  const char *token;
  json_t *id;
  size_t bytes = 0;
  json_object_foreach (vocabulary, token, id) bytes += strlen (token);
  ADAMIX_RETURN_IF (adamix_wordpiece_init (wordpiece, (int64_t) json_object_size (vocabulary), bytes, prefix));
  json_object_foreach (vocabulary, token, id)
  {
    json_int_t value = json_integer_value (id);
    if (!json_is_integer (id) || value < 0 || value >= INT32_MAX)
      return adamix_err_set (ADAMIX_EFORMAT, "%s: the id of token \"%s\" is not a number from 0 to 2^31 - 2", l->path,
                             token);
    adamix_wordpiece_add (wordpiece, token, strlen (token), (int32_t) value);
  }
  return ADAMIX_OK;
}

static adamix_err
load_model (const loader *l, const json_t *root)
{
  const json_t *model = json_object_get (root, "model");
  const char *type, *unknown = "[UNK]", *prefix = "##";
  int64_t max_chars = MAX_CHARS_DEFAULT;
  ADAMIX_RETURN_IF (type_of (l, root, "model", &type));
  /* Old files do not say the type; only WordPiece has this key. */
  if (type || !json_object_get (model, "max_input_chars_per_word"))
    ADAMIX_RETURN_IF (require_type (l, root, "model", "WordPiece"));
  ADAMIX_RETURN_IF (adamix_json_string (model, l->path, "unk_token", false, &unknown));
  ADAMIX_RETURN_IF (adamix_json_string (model, l->path, "continuing_subword_prefix", false, &prefix));
  ADAMIX_RETURN_IF (adamix_json_integer (model, l->path, "max_input_chars_per_word", false, 1, INT32_MAX, &max_chars));
  json_t *vocabulary = json_object_get (model, "vocab");
  if (!json_is_object (vocabulary)) return malformed (l, "\"model\" has no object \"vocab\"");
  ADAMIX_RETURN_IF (load_vocabulary (l, vocabulary, prefix));
  adamix_wordpiece *wordpiece = &l->out->wordpiece;
  wordpiece->max_chars = max_chars;
  wordpiece->unknown = adamix_wordpiece_find (wordpiece, unknown, strlen (unknown));
  if (wordpiece->unknown >= 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", l->path, unknown);
}

/* ---- added tokens ---------------------------------------------------------------------------------------------------- */

static adamix_err
load_added_token (const loader *l, const json_t *value)
{
  adamix_added_token token = { .id = -1 };
  const char *content = NULL;
  int64_t id;
  if (!json_is_object (value)) return malformed (l, "a member of \"added_tokens\" is not an object");
  ADAMIX_RETURN_IF (adamix_json_string (value, l->path, "content", true, &content));
  ADAMIX_RETURN_IF (adamix_json_integer (value, l->path, "id", true, 0, INT32_MAX - 1, &id));
  ADAMIX_RETURN_IF (adamix_json_boolean (value, l->path, "single_word", false, &token.single_word));
  ADAMIX_RETURN_IF (adamix_json_boolean (value, l->path, "lstrip", false, &token.lstrip));
  ADAMIX_RETURN_IF (adamix_json_boolean (value, l->path, "rstrip", false, &token.rstrip));
  ADAMIX_RETURN_IF (adamix_json_boolean (value, l->path, "normalized", false, &token.normalized));
  token.text = (char *) content;
  token.bytes = (int64_t) strlen (content);
  /* The vocabulary's id stands above the one given here, as in the library. */
  token.id = adamix_wordpiece_find (&l->out->wordpiece, content, strlen (content));
  if (token.id < 0) token.id = (int32_t) id;
  return adamix_tokenizer_announce (l->out, &token);
}

static adamix_err
load_added_tokens (const loader *l, const json_t *root)
{
  const json_t *list = json_object_get (root, "added_tokens"), *value;
  size_t i;
  if (list && !json_is_null (list) && !json_is_array (list)) return malformed (l, "\"added_tokens\" is not a list");
  json_array_foreach (list, i, value) ADAMIX_RETURN_IF (load_added_token (l, value));
  return ADAMIX_OK;
}

/* ---- post-processor -------------------------------------------------------------------------------------------------- */

/* {"ids": [...]} of a special token of the template. */
static adamix_err
load_special (const loader *l, const json_t *section, const char *name, int32_t type, adamix_template *out)
{
  const json_t *ids = json_object_get (json_object_get (json_object_get (section, "special_tokens"), name), "ids"), *id;
  size_t i;
  if (json_array_size (ids) == 0) return malformed (l, "a special token of the post-processor has no \"ids\"");
  json_array_foreach (ids, i, id)
  {
    if (!json_is_integer (id) || json_integer_value (id) < 0 || json_integer_value (id) >= l->out->wordpiece.ids)
      return malformed (l, "a special token of the post-processor has an id that is not in the vocabulary");
    adamix_slot slot = { ADAMIX_SLOT_SPECIAL, (int32_t) json_integer_value (id), type };
    ADAMIX_RETURN_IF (adamix_template_add (out, slot));
  }
  return ADAMIX_OK;
}

static adamix_err
load_template (const loader *l, const json_t *section, const char *which, adamix_template *out)
{
  const json_t *list = json_object_get (section, which), *part;
  size_t i;
  if (!json_is_array (list)) return malformed (l, "a template of the post-processor is not a list");
  json_array_foreach (list, i, part)
  {
    const json_t *special = json_object_get (part, "SpecialToken"), *sequence = json_object_get (part, "Sequence");
    const char *id = NULL;
    int64_t type = 0;
    if (!special && !sequence) return malformed (l, "a template has a part that is neither a token nor a sequence");
    ADAMIX_RETURN_IF (adamix_json_string (special ? special : sequence, l->path, "id", true, &id));
    ADAMIX_RETURN_IF (
        adamix_json_integer (special ? special : sequence, l->path, "type_id", true, 0, INT32_MAX, &type));
    if (special)
      ADAMIX_RETURN_IF (load_special (l, section, id, (int32_t) type, out));
    else
      ADAMIX_RETURN_IF (adamix_template_add (
          out, (adamix_slot){ strcmp (id, "B") == 0 ? ADAMIX_SLOT_B : ADAMIX_SLOT_A, 0, (int32_t) type }));
  }
  return ADAMIX_OK;
}

static adamix_err
load_template_processing (const loader *l, const json_t *section)
{
  ADAMIX_RETURN_IF (load_template (l, section, "single", &l->out->single));
  return load_template (l, section, "pair", &l->out->pair);
}

/* "sep": ["[SEP]", 102] and the like. */
static adamix_err
load_bert_processing (const loader *l, const json_t *section)
{
  static const char *const name[] = { "cls", "sep" };
  int32_t id[2];
  for (int i = 0; i < 2; i++) {
    const json_t *value = json_array_get (json_object_get (section, name[i]), 1);
    if (!json_is_integer (value) || json_integer_value (value) < 0 ||
        json_integer_value (value) >= l->out->wordpiece.ids)
      return malformed (l, "\"cls\" or \"sep\" of the post-processor is not a token of the vocabulary");
    id[i] = (int32_t) json_integer_value (value);
  }
  adamix_template_bert (&l->out->single, &l->out->pair, id[0], id[1]);
  return ADAMIX_OK;
}

static adamix_err
load_no_processing (const loader *l)
{
  ADAMIX_RETURN_IF (adamix_template_add (&l->out->single, (adamix_slot){ ADAMIX_SLOT_A, 0, 0 }));
  l->out->pair = l->out->single;
  return adamix_template_add (&l->out->pair, (adamix_slot){ ADAMIX_SLOT_B, 0, 1 });
}

static adamix_err
load_post_processor (const loader *l, const json_t *root)
{
  static const struct {
    const char *type;
    adamix_err (*load) (const loader *l, const json_t *section);
  } kind[] = { { "TemplateProcessing", load_template_processing }, { "BertProcessing", load_bert_processing } };
  const char *type;
  ADAMIX_RETURN_IF (type_of (l, root, "post_processor", &type));
  if (!type) return load_no_processing (l);
  for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++)
    if (strcmp (type, kind[i].type) == 0) return kind[i].load (l, json_object_get (root, "post_processor"));
  return adamix_err_set (ADAMIX_EUNSUPPORTED,
                         "%s: the tokenizer's post_processor is %s; only TemplateProcessing and BertProcessing are "
                         "supported",
                         l->path, type);
}

adamix_err
adamix_tokenizer_load_json (adamix_tokenizer *out, const char *path)
{
  adamix_err err = ADAMIX_OK;
  loader l = { path, out };
  json_t *root = NULL;
  ADAMIX_TRY (adamix_json_load (&root, path));
  ADAMIX_TRY (load_model (&l, root));
  ADAMIX_TRY (require_type (&l, root, "pre_tokenizer", "BertPreTokenizer"));
  ADAMIX_TRY (load_normalizer (&l, root));
  ADAMIX_TRY (load_added_tokens (&l, root));
  ADAMIX_TRY (load_post_processor (&l, root));
done:
  json_decref (root);
  return err;
}
