/* A tokenizer from tokenizer.json.  Its truncation and padding sections are not read: the caller gives the length. */
#include "text/load_json.h"

#include <string.h>

adamix_err
adamix_json_malformed (const adamix_json_loader *l, const char *what)
{
  return adamix_err_set (ADAMIX_EFORMAT, "%s: %s; is it the tokenizer.json of a Hugging Face model?", l->path, what);
}

adamix_err
adamix_json_section (const adamix_json_loader *l, const char *name, const json_t **section, const char **type)
{
  *section = json_object_get (l->root, name);
  *type = NULL;
  if (!*section || json_is_null (*section)) return ADAMIX_OK;
  if (!json_is_object (*section)) return adamix_json_malformed (l, "a section is not an object");
  return adamix_json_string (*section, l->path, "type", false, type);
}

adamix_err
adamix_json_require (const adamix_json_loader *l, const char *name, const char *wanted)
{
  const json_t *section;
  const char *type;
  ADAMIX_RETURN_IF (adamix_json_section (l, name, &section, &type));
  if (type && strcmp (type, wanted) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: the tokenizer's %s is %s; only %s is supported", l->path, name,
                         type ? type : "absent", wanted);
}

adamix_err
adamix_json_load_vocabulary (const adamix_json_loader *l)
{
  json_t *vocabulary = json_object_get (json_object_get (l->root, "model"), "vocab");
  if (!json_is_object (vocabulary)) return adamix_json_malformed (l, "\"model\" has no object \"vocab\"");
  return adamix_vocabulary_from_json (&l->out->vocabulary, vocabulary, l->path);
}

static const adamix_tokenizer_kind *const kinds[] = { &adamix_kind_wordpiece, &adamix_kind_bpe };
#define KINDS (sizeof kinds / sizeof kinds[0])

static adamix_err
load_model (const adamix_json_loader *l)
{
  const json_t *model;
  const char *type;
  ADAMIX_RETURN_IF (adamix_json_section (l, "model", &model, &type));
  for (size_t i = 0; i < KINDS; i++) {
    if (type ? strcmp (type, kinds[i]->name) != 0 : !json_object_get (model, kinds[i]->mark)) continue;
    l->out->kind = kinds[i];
    return kinds[i]->load_json (l);
  }
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: the tokenizer's model is %s; only WordPiece and BPE are supported",
                         l->path, type ? type : "absent");
}

static adamix_err
load_added_tokens (const adamix_json_loader *l)
{
  const json_t *list = json_object_get (l->root, "added_tokens"), *value;
  size_t i;
  if (list && !json_is_null (list) && !json_is_array (list))
    return adamix_json_malformed (l, "\"added_tokens\" is not a list");
  json_array_foreach (list, i, value)
  {
    adamix_added_token token;
    int64_t id; /* the library numbers added tokens itself */
    if (!json_is_object (value)) return adamix_json_malformed (l, "a member of \"added_tokens\" is not an object");
    ADAMIX_RETURN_IF (adamix_json_integer (value, l->path, "id", true, 0, INT32_MAX - 1, &id));
    ADAMIX_RETURN_IF (adamix_added_from_json (&token, value, l->path, false));
    ADAMIX_RETURN_IF (adamix_tokenizer_announce (l->out, &token));
  }
  return ADAMIX_OK;
}

adamix_err
adamix_tokenizer_load_json (adamix_tokenizer *out, const char *dir, const char *path)
{
  adamix_err err = ADAMIX_OK;
  json_t *root = NULL;
  (void) dir;
  ADAMIX_TRY (adamix_json_load (&root, path));
  adamix_json_loader l = { path, root, out };
  ADAMIX_TRY (load_model (&l));
  out->ids = out->vocabulary.ids;
  ADAMIX_TRY (load_added_tokens (&l));
  ADAMIX_TRY (adamix_json_load_template (&l));
done:
  json_decref (root);
  return err;
}
