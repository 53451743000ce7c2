#include "text/encoding.h"
#include "text/golden_tokens.h"

TestSuite (tokenizer, .init = scratch_begin, .fini = scratch_end);

static const char *
golden_text (const char *name)
{
  for (size_t i = 0; i < sizeof golden_json / sizeof golden_json[0]; i++)
    if (strcmp (golden_json[i][0], name) == 0) return golden_json[i][1];
  return NULL;
}

Test (tokenizer, ids_are_those_of_the_library)
{
  for (size_t t = 0; t < sizeof golden_json / sizeof golden_json[0]; t++) {
    adamix_tokenizer *tokenizer = open_json (golden_json[t][1]);
    adamix_encoding encoding = { 0 };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
      if (strcmp (golden[i].tokenizer, golden_json[t][0]) == 0) check_row (tokenizer, &golden[i], &encoding);
    adamix_encoding_destroy (&encoding);
    adamix_tokenizer_destroy (tokenizer);
  }
}

Test (tokenizer, the_full_length_is_told)
{
  adamix_tokenizer *tokenizer = open_json (golden_text ("uncased"));
  adamix_encoding encoding = { 0 };
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, "a a a a", 7, "b b b", 5, 6, &encoding));
  cr_assert_eq (encoding.count, 6);
  cr_assert_eq (encoding.full_count, 10);
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, "", 0, NULL, 0, 6, &encoding));
  cr_assert_eq (encoding.count, 2);
  cr_assert_eq (encoding.full_count, 2);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
}

Test (tokenizer, hostile_texts_are_refused)
{
  adamix_tokenizer *tokenizer = open_json (golden_text ("uncased"));
  adamix_encoding encoding = { 0 };
  cr_assert_fails (adamix_tokenizer_encode (tokenizer, "ab\xc3", 3, NULL, 0, 0, &encoding), ADAMIX_EDATA,
                   "byte 3 is 0xc3");
  cr_assert_fails (adamix_tokenizer_encode (tokenizer, "a", 1, "\xff", 1, 0, &encoding), ADAMIX_EDATA, "0xff");
  cr_assert_fails (adamix_tokenizer_encode (tokenizer, "a", 1, NULL, 0, 1, &encoding), ADAMIX_EDATA, "length of 1");
  cr_assert_fails (adamix_tokenizer_encode (tokenizer, "a", 1, "b", 1, 2, &encoding), ADAMIX_EDATA, "3 special tokens");
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, "a", 1, "b", 1, 3, &encoding));
  cr_assert_eq (encoding.count, 3);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
}

Test (tokenizer, the_vocabulary_counts_added_tokens)
{
  adamix_tokenizer *tokenizer = open_json (golden_text ("uncased"));
  int64_t largest = 0;
  for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
    for (int64_t j = 0; j < golden[i].count; j++)
      if (golden[i].id[j] > largest) largest = golden[i].id[j];
  cr_assert_eq (adamix_tokenizer_vocabulary (tokenizer), largest + 1, "the last added token is in the golden texts");
  adamix_tokenizer_destroy (tokenizer);
}

/* A long text grows all buffers; what it gives is what its parts give. */
Test (tokenizer, a_long_text_is_its_parts)
{
  enum { PARTS = 5000 };
  static const char part[] = "The cats, 中文 한 ";
  adamix_tokenizer *tokenizer = open_json (golden_text ("uncased"));
  adamix_encoding one = { 0 }, all = { 0 };
  char *text = malloc (PARTS * strlen (part) + 1);
  for (int i = 0; i < PARTS; i++) strcpy (text + (size_t) i * strlen (part), part);
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, part, strlen (part), NULL, 0, 0, &one));
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, text, strlen (text), NULL, 0, 0, &all));
  int64_t inner = one.count - 2;
  cr_assert_eq (all.count, PARTS * inner + 2);
  for (int64_t i = 1; i < all.count - 1; i++) cr_assert_eq (all.id[i], one.id[1 + (i - 1) % inner]);
  free (text);
  adamix_encoding_destroy (&all);
  adamix_encoding_destroy (&one);
  adamix_tokenizer_destroy (tokenizer);
}

/* ---- vocab.txt --------------------------------------------------------------------------------------------------- */

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\r\nThe\ncafe\ncafé\n<s>";

Test (tokenizer, a_vocabulary_file_is_enough)
{
  scratch_file ("vocab.txt", vocabulary, strlen (vocabulary));
  check_ids ("The café [MASK]", 5, (const int32_t[]){ 2, 5, 7, 4, 3 });
}

Test (tokenizer, a_vocabulary_file_heeds_its_configuration)
{
  static const char config[] =
      "{\"do_lower_case\": false, \"strip_accents\": null, \"cls_token\": {\"content\": \"<s>\"}}";
  scratch_file ("vocab.txt", vocabulary, strlen (vocabulary));
  scratch_file ("tokenizer_config.json", config, strlen (config));
  check_ids ("The café [MASK]", 5, (const int32_t[]){ 9, 6, 8, 4, 3 });
}

Test (tokenizer, broken_vocabulary_files_are_refused)
{
  adamix_tokenizer *tokenizer;
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EIO, "neither tokenizer.json nor vocab");
  scratch_file ("sentencepiece.bpe.model", "", 0);
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EUNSUPPORTED, "Unigram");
  scratch_file ("vocab.txt", "", 0);
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EFORMAT, "[UNK]");
  scratch_file ("vocab.txt", "[UNK]\n[CLS]\n\xff\n", 14);
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EFORMAT, "byte 13");
  scratch_file ("vocab.txt", "[UNK]\n[CLS]\n", 12);
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EFORMAT, "sep_token");
  cr_assert_null (tokenizer);
}

/* ---- tokenizer.json that is not ours -------------------------------------------------------------------------------- */

static const struct {
  const char *json;
  adamix_err err;
  const char *part;
} broken[] = {
  { "[]", ADAMIX_EUNSUPPORTED, "model is absent" },
  { "{", ADAMIX_EFORMAT, "not valid JSON" },
  { "{\"model\": {\"type\": \"Unigram\"}}", ADAMIX_EUNSUPPORTED, "model is Unigram" },
  { "{\"model\": {\"type\": \"WordLevel\"}}", ADAMIX_EUNSUPPORTED, "model is WordLevel" },
  { "{\"model\": {\"type\": \"WordPiece\"}}", ADAMIX_EFORMAT, "vocab" },
  { "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}}", ADAMIX_EFORMAT, "[UNK]" },
  { "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": -1}}}", ADAMIX_EFORMAT, "id of token \"[UNK]\"" },
  { "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": \"x\"}}}", ADAMIX_EFORMAT, "id of token \"[UNK]\"" },
  { "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0}, \"unk_token\": 7}}", ADAMIX_EFORMAT,
    "unk_token" },
#define MODEL "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0}}"
  { MODEL "}", ADAMIX_EUNSUPPORTED, "pre_tokenizer is absent" },
  { MODEL ", \"pre_tokenizer\": {\"type\": \"Whitespace\"}}", ADAMIX_EUNSUPPORTED, "pre_tokenizer is Whitespace" },
/* Parts of a template. */
#define A     "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
#define B     "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}"
#define SPLIT MODEL ", \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}"
  { SPLIT ", \"normalizer\": {\"type\": \"NFKC\"}}", ADAMIX_EUNSUPPORTED, "normalizer is NFKC" },
  { SPLIT ", \"normalizer\": 3}", ADAMIX_EFORMAT, "not an object" },
  { SPLIT ", \"added_tokens\": 3}", ADAMIX_EFORMAT, "added_tokens" },
  { SPLIT ", \"added_tokens\": [{\"id\": -4, \"content\": \"x\"}]}", ADAMIX_EFORMAT, "-4" },
  { SPLIT ", \"post_processor\": {\"type\": \"Custom\"}}", ADAMIX_EUNSUPPORTED, "post_processor is Custom" },
  { SPLIT ", \"post_processor\": {}}", ADAMIX_EFORMAT, "\"type\" is missing" },
  { SPLIT ", \"post_processor\": {\"type\": \"RobertaProcessing\"}}", ADAMIX_EFORMAT, "cls" },
  { SPLIT ", \"post_processor\": {\"type\": \"Sequence\"}}", ADAMIX_EFORMAT, "processors" },
  { SPLIT ", \"post_processor\": {\"type\": \"Sequence\", \"processors\": [3]}}", ADAMIX_EFORMAT, "not an object" },
  { SPLIT ", \"post_processor\": {\"type\": \"Sequence\", \"processors\": ["
          "{\"type\": \"BertProcessing\", \"cls\": [\"c\", 0], \"sep\": [\"s\", 0]}, "
          "{\"type\": \"RobertaProcessing\", \"cls\": [\"c\", 0], \"sep\": [\"s\", 0]}]}}",
    ADAMIX_EUNSUPPORTED, "more than one part" },
  { SPLIT ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"c\", 9], \"sep\": [\"s\", 0]}}",
    ADAMIX_EFORMAT, "cls" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": 1}}", ADAMIX_EFORMAT, "template" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [1]}}", ADAMIX_EFORMAT, "part" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\", "
          "\"type_id\": 0}}]}}",
    ADAMIX_EFORMAT, "ids" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" A ", " A "], \"pair\": [" A ", " B
          "]}}",
    ADAMIX_EUNSUPPORTED, "\"single\" has sequence A 2 and B 0 times" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" A "], \"pair\": [" B "]}}",
    ADAMIX_EUNSUPPORTED, "\"pair\" has sequence A 0 and B 1 times" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" A "], \"pair\": [" A ", " B ", " B
          "]}}",
    ADAMIX_EUNSUPPORTED, "\"pair\" has sequence A 1 and B 2 times" },
  { SPLIT ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" B "], \"pair\": [" A ", " B "]}}",
    ADAMIX_EUNSUPPORTED, "\"single\" has sequence A 0 and B 1 times" },
};

Test (tokenizer, other_tokenizers_are_refused_by_name)
{
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    adamix_tokenizer *tokenizer;
    scratch_file ("tokenizer.json", broken[i].json, strlen (broken[i].json));
    cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), broken[i].err, broken[i].part);
    cr_assert_null (tokenizer);
  }
}

Test (tokenizer, processing_may_be_absent)
{
  scratch_file ("tokenizer.json", SPLIT "}", strlen (SPLIT "}"));
  check_ids ("any", 1, (const int32_t[]){ 0 });
}

Test (tokenizer, bert_processing_is_a_template)
{
  static const char json[] =
      SPLIT ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"c\", 0], \"sep\": [\"s\", 0]}}";
  scratch_file ("tokenizer.json", json, strlen (json));
  check_ids ("any", 3, (const int32_t[]){ 0, 0, 0 });
}
