/* WordPiece of a tokenizer.json, with BERT's normalizer and pre-tokenizer. */
#include "text/load_json.h"

#include <string.h>

#define MAX_CHARS_DEFAULT 100

static adamix_err
load_normalizer (const adamix_json_loader *l)
{
  const json_t *section;
  const char *type;
  adamix_normalizer_flags flags = { 0 };
  ADAMIX_RETURN_IF (adamix_json_section (l, "normalizer", &section, &type));
  if (type) {
    ADAMIX_RETURN_IF (adamix_json_require (l, "normalizer", "BertNormalizer"));
    flags = (adamix_normalizer_flags){ .clean_text = true, .handle_cjk = true, .lowercase = true };
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "clean_text", false, &flags.clean_text));
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "handle_chinese_chars", false, &flags.handle_cjk));
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "lowercase", false, &flags.lowercase));
    flags.strip_accents = flags.lowercase;
    ADAMIX_RETURN_IF (adamix_json_boolean (section, l->path, "strip_accents", false, &flags.strip_accents));
  }
  return adamix_normalizer_init (&l->out->normalizer, flags);
}

adamix_err
adamix_json_load_wordpiece (const adamix_json_loader *l)
{
  const json_t *model = json_object_get (l->root, "model");
  const char *unknown = "[UNK]", *prefix = "##";
  int64_t max_chars = MAX_CHARS_DEFAULT;
  adamix_wordpiece *wordpiece = &l->out->wordpiece;
  ADAMIX_RETURN_IF (adamix_json_string (model, l->path, "unk_token", false, &unknown));
  ADAMIX_RETURN_IF (adamix_json_string (model, l->path, "continuing_subword_prefix", false, &prefix));
  ADAMIX_RETURN_IF (adamix_json_integer (model, l->path, "max_input_chars_per_word", false, 1, INT32_MAX, &max_chars));
  ADAMIX_RETURN_IF (adamix_json_load_vocabulary (l));
  ADAMIX_RETURN_IF (adamix_wordpiece_init (wordpiece, prefix));
  wordpiece->max_chars = max_chars;
  wordpiece->unknown = adamix_vocabulary_find (&l->out->vocabulary, unknown, strlen (unknown));
  if (wordpiece->unknown < 0)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", l->path, unknown);
  ADAMIX_RETURN_IF (adamix_json_require (l, "pre_tokenizer", "BertPreTokenizer"));
  return load_normalizer (l);
}
