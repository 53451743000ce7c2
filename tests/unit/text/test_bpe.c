#include "text/encoding.h"
#include "text/golden_bpe.h"
#include "text/tokenizer.h"

TestSuite (bpe, .init = scratch_begin, .fini = scratch_end, .timeout = 60);

static const char golden_vocabulary[] = "{" GOLDEN_VOCABULARY "}";

Test (bpe, ids_are_those_of_the_library)
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

/* ---- vocab.json and merges.txt ---------------------------------------------------------------------------------------- */

static void
folder (const char *vocabulary, const char *merges)
{
  scratch_file ("vocab.json", vocabulary, strlen (vocabulary));
  scratch_file ("merges.txt", merges, strlen (merges));
}

static void
setting (const char *file, const char *json)
{
  scratch_file (file, json, strlen (json));
}

/* Golden rows of a variation that the folder is equal to; texts with `but` in them are left out. */
static void
check_rows (const char *variation, const char *but)
{
  adamix_tokenizer *tokenizer;
  adamix_encoding encoding = { 0 };
  int rows = 0;
  cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
  for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
    if (strcmp (golden[i].tokenizer, variation) != 0 || strstr (golden[i].a, but)) continue;
    check_row (tokenizer, &golden[i], &encoding);
    rows++;
  }
  cr_assert_gt (rows, 20);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
}

static const char mask[] = "{\"mask_token\": {\"content\": \"<mask>\", \"lstrip\": true}, "
                           "\"additional_special_tokens\": [{\"content\": \"<new>\", \"rstrip\": true}]}";

Test (bpe, a_vocabulary_with_s_is_robertas)
{
  folder (golden_vocabulary, golden_merges_file);
  setting ("tokenizer_config.json", mask);
  check_rows ("roberta", "\x1f");
}

Test (bpe, the_special_tokens_map_is_read)
{
  folder (golden_vocabulary, golden_merges_file);
  setting ("special_tokens_map.json", mask);
  setting ("tokenizer_config.json", "{\"add_prefix_space\": true, \"mask_token\": \"<s>\"}");
  check_rows ("prefix", "\x1f");
}

Test (bpe, added_tokens_are_read)
{
  folder (golden_vocabulary, golden_merges_file);
  setting ("tokenizer_config.json",
           "{\"added_tokens_decoder\": {\"900\": {\"content\": \"<new>\", \"rstrip\": true}, \"7\": {\"content\": "
           "\"<mask>\", \"lstrip\": true, \"special\": true}}}");
  setting ("special_tokens_map.json", "{\"mask_token\": \"the\"}");
  check_rows ("roberta", "\x1f");
}

/* The file's numbers say the order only: the library counts on from the size of the vocabulary. */
Test (bpe, added_tokens_json_is_read)
{
  folder (golden_vocabulary, golden_merges_file);
  setting ("added_tokens.json", "{\"<last>\": 900, \"<new>\": 425}");
  check_ids ("the<new><last>", 5, (const int32_t[]){ 0, 381, 421, 422, 2 });
}

Test (bpe, gpt2s_names_and_model_type)
{
  scratch_file ("encoder.json", golden_vocabulary, strlen (golden_vocabulary));
  scratch_file ("vocab.bpe", golden_merges_file, strlen (golden_merges_file));
  setting ("config.json", "{\"model_type\": \"gpt2\"}");
  setting ("tokenizer_config.json",
           "{\"extra_special_tokens\": [\"<s>\", \"</s>\", {\"content\": \"<new>\", \"rstrip\": true}], "
           "\"mask_token\": {\"content\": \"<mask>\", \"lstrip\": true}}");
  check_rows ("gpt2", "\x1f");
}

Test (bpe, gpt2_may_be_told_to_begin_and_end_texts)
{
  folder ("{\"a\": 0, \"b\": 1, \"<|endoftext|>\": 2}", "");
  check_ids ("ab", 2, (const int32_t[]){ 0, 1 });
  check_ids ("a<|endoftext|>b", 3, (const int32_t[]){ 0, 2, 1 });
  setting ("tokenizer_config.json", "{\"add_bos_token\": true, \"add_eos_token\": true, \"eos_token\": \"b\"}");
  check_ids ("aa", 4, (const int32_t[]){ 2, 0, 0, 1 });
}

/* ---- merging ------------------------------------------------------------------------------------------------------------ */

/* The rule written out: of all neighbours the pair of lowest rank, leftmost among equals, until none is left. */
static int64_t
merge_by_definition (const adamix_bpe *bpe, int32_t *id, int64_t count)
{
  for (;;) {
    const adamix_merge *best = NULL;
    int64_t where = 0;
    for (int64_t i = 0; i + 1 < count; i++)
      for (uint32_t slot = 0; slot <= bpe->mask; slot++) {
        const adamix_merge *merge = &bpe->slot[slot];
        if (merge->id < 0 || merge->left != id[i] || merge->right != id[i + 1]) continue;
        if (best && best->rank <= merge->rank) continue;
        best = merge;
        where = i;
      }
    if (!best) return count;
    id[where] = best->id;
    memmove (&id[where + 1], &id[where + 2], (size_t) (count - where - 2) * sizeof *id);
    count--;
  }
}

/* Merges that meet each other in every way: all that make a token of all words of up to four of two letters, in an order
 * of chance. */
typedef struct knot {
  char part[4][16][5]; /* by length */
  char vocabulary[1024], merges[4096];
} knot;

static void
knot_words (knot *k)
{
  char *to = k->vocabulary;
  int id = 0;
  for (int bytes = 1; bytes <= 4; bytes++)
    for (int word = 0; word < 1 << bytes; word++) {
      for (int i = 0; i < bytes; i++) k->part[bytes - 1][word][i] = "ab"[word >> i & 1];
      to += sprintf (to, "%s\"%s\": %d", id ? ", " : "{", k->part[bytes - 1][word], id);
      id++;
    }
  strcpy (to, "}");
}

static void
knot_tie (knot *k, uint64_t seed)
{
  enum { MERGES = 4 + 2 * 8 + 3 * 16 };
  char merge[MERGES][8], *to = k->merges;
  int64_t order[MERGES], count = 0;
  memset (k, 0, sizeof *k);
  knot_words (k);
  for (int bytes = 2; bytes <= 4; bytes++)
    for (int word = 0; word < 1 << bytes; word++)
      for (int left = 1; left < bytes; left++) {
        const char *text = k->part[bytes - 1][word];
        sprintf (merge[count++], "%.*s %s", left, text, text + left);
      }
  adamix_rng_permutation (adamix_rng_stream (seed, ADAMIX_RNG_ORDER), 0, 0, MERGES, order);
  for (int i = 0; i < MERGES; i++) to += sprintf (to, "%s\n", merge[order[i]]);
}

static void
check_word (const adamix_bpe *bpe, const char *word, int64_t bytes, adamix_bpe_scratch *scratch)
{
  adamix_ids ids = { 0 };
  int32_t *expected = malloc ((size_t) bytes * sizeof *expected);
  for (int64_t i = 0; i < bytes; i++) expected[i] = bpe->byte[(unsigned char) word[i]];
  int64_t count = merge_by_definition (bpe, expected, bytes);
  cr_assert_succeeds (adamix_bpe_merge_word (bpe, word, word + bytes, scratch, &ids));
  cr_assert_eq (ids.count, count, "%.*s: %ld ids, not %ld", (int) bytes, word, (long) ids.count, (long) count);
  cr_assert_arr_eq (ids.data, expected, (size_t) count * sizeof *expected, "%.*s", (int) bytes, word);
  free (expected);
  free (ids.data);
}

Test (bpe, words_of_any_length_are_merged_by_the_rule)
{
  enum { KNOTS = 20, WORDS = 150 };
  adamix_bpe_scratch scratch = { 0 };
  for (uint32_t seed = 0; seed < KNOTS; seed++) {
    const adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_INIT);
    adamix_tokenizer *tokenizer;
    knot k;
    knot_tie (&k, seed);
    folder (k.vocabulary, k.merges);
    cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
    for (uint32_t bytes = 1; bytes <= WORDS; bytes++) {
      char word[WORDS];
      for (uint32_t i = 0; i < bytes; i++)
        word[i] = "ab"[adamix_rng_below (rng, (adamix_rng_counter){ { bytes, i, 0, 0 } }, 2)];
      check_word (&tokenizer->bpe, word, bytes, &scratch);
    }
    adamix_tokenizer_destroy (tokenizer);
  }
  adamix_bpe_scratch_free (&scratch);
}

/* Quadratic merging would take hours. */
Test (bpe, a_long_word_takes_no_time)
{
  enum { BYTES = 1 << 20 };
  adamix_tokenizer *tokenizer;
  adamix_encoding encoding = { 0 };
  char *text = malloc (BYTES);
  knot k;
  for (int i = 0; i < BYTES; i++) text[i] = "ab"[i % 2];
  knot_tie (&k, 0);
  folder (k.vocabulary, k.merges);
  cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, text, BYTES, NULL, 0, 0, &encoding));
  cr_assert_leq (encoding.count, BYTES / 2);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
  free (text);
}

/* ---- files that are not ours ---------------------------------------------------------------------------------------------- */

static const struct {
  const char *vocabulary, *merges;
  adamix_err err;
  const char *part;
} broken_folders[] = {
  { "{\"a\": 0", "", ADAMIX_EFORMAT, "not valid JSON" },
  { "{\"a\": 0, \"a\": 1}", "", ADAMIX_EFORMAT, "duplicate" },
  { "{\"\xff\": 0}", "", ADAMIX_EFORMAT, "not valid JSON" },
  { "[\"a\"]", "", ADAMIX_EFORMAT, "vocab.json: not an object" },
  { "{\"a\": -1}", "", ADAMIX_EFORMAT, "id of token \"a\"" },
  { "{\"a\": 1, \"b\": 1}", "", ADAMIX_EFORMAT, "have the same id 1" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "#version: 0.2\na b\na\n", ADAMIX_EFORMAT, "merges.txt: line 3: \"a\" is not" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a b\n\n", ADAMIX_EFORMAT, "line 2" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a b c\n", ADAMIX_EFORMAT, "line 1" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a b\na b\n", ADAMIX_EFORMAT, "line 2: \"a b\" was there before, as merge 1" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a c\n", ADAMIX_EFORMAT, "token \"c\" is not in the vocabulary" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "b a\n", ADAMIX_EFORMAT, "token \"ba\" is not in the vocabulary" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a \n", ADAMIX_EFORMAT, "token \"\" is not" },
  { "{\"a\": 0, \"b\": 1, \"ab\": 2}", "a \xff\n", ADAMIX_EFORMAT, "byte 3 is wrong" },
  { "{\"<s>\": 0}", "", ADAMIX_EFORMAT, "sep_token" },
};

Test (bpe, broken_folders_are_refused)
{
  adamix_tokenizer *tokenizer;
  scratch_file ("vocab.json", "{}", 2);
  cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EIO, "merges.txt");
  for (size_t i = 0; i < sizeof broken_folders / sizeof broken_folders[0]; i++) {
    folder (broken_folders[i].vocabulary, broken_folders[i].merges);
    cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), broken_folders[i].err, broken_folders[i].part);
    cr_assert_null (tokenizer);
  }
}

static const struct {
  const char *file, *json, *part;
} broken_settings[] = {
  { "tokenizer_config.json", "{\"add_prefix_space\": 3}", "add_prefix_space" },
  { "tokenizer_config.json", "{\"mask_token\": 3}", "not a string" },
  { "tokenizer_config.json", "{\"mask_token\": {\"lstrip\": true}}", "content" },
  { "tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", "\"x\"" },
  { "tokenizer_config.json", "{\"added_tokens_decoder\": {\"1\": 1}}", "not an id with a token" },
  { "tokenizer_config.json", "{\"additional_special_tokens\": [1]}", "not a string" },
  { "special_tokens_map.json", "{", "special_tokens_map.json" },
  { "added_tokens.json", "{\"x\": \"y\"}", "added_tokens.json" },
  { "config.json", "{\"model_type\": 1}", "model_type" },
};

Test (bpe, broken_settings_are_refused)
{
  adamix_tokenizer *tokenizer;
  folder (golden_vocabulary, golden_merges_file);
  for (size_t i = 0; i < sizeof broken_settings / sizeof broken_settings[0]; i++) {
    setting (broken_settings[i].file, broken_settings[i].json);
    cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), ADAMIX_EFORMAT, broken_settings[i].part);
    cr_assert_null (tokenizer);
    setting (broken_settings[i].file, "{}");
  }
}

static const struct {
  const char *json;
  adamix_err err;
  const char *part;
} broken[] = {
  { "{\"model\": {\"type\": \"BPE\"}}", ADAMIX_EUNSUPPORTED, "pre_tokenizer is absent" },
#define BYTE_LEVEL "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}"
#define MODEL      "{" BYTE_LEVEL ", \"model\": {\"type\": \"BPE\""
  { MODEL "}}", ADAMIX_EFORMAT, "vocab" },
  { MODEL ", \"vocab\": {\"a\": 0}}}", ADAMIX_EFORMAT, "merges" },
  { MODEL ", \"vocab\": {\"a\": 0}, \"merges\": [3]}}", ADAMIX_EFORMAT, "merge 1: it is not" },
  { MODEL ", \"vocab\": {\"a\": 0, \"aa\": 1}, \"merges\": [[\"a\", \"a\"], [\"a\"]]}}", ADAMIX_EFORMAT, "merge 2" },
  { MODEL ", \"vocab\": {\"a\": 0, \"aa\": 1}, \"merges\": [\"a a a\"]}}", ADAMIX_EFORMAT, "merge 1" },
  { MODEL ", \"vocab\": {\"a\": 0, \"aa\": 1}, \"merges\": [\"a b\"]}}", ADAMIX_EFORMAT, "token \"b\"" },
  { MODEL ", \"vocab\": {\"a\": 0}, \"merges\": [], \"unk_token\": \"<unk>\"}}", ADAMIX_EFORMAT, "byte 0x00" },
  { MODEL ", \"dropout\": 0.1}}", ADAMIX_EUNSUPPORTED, "\"dropout\"" },
  { MODEL ", \"byte_fallback\": true}}", ADAMIX_EUNSUPPORTED, "\"byte_fallback\"" },
  { MODEL ", \"fuse_unk\": true}}", ADAMIX_EUNSUPPORTED, "\"fuse_unk\"" },
  { MODEL ", \"end_of_word_suffix\": \"</w>\"}}", ADAMIX_EUNSUPPORTED, "\"end_of_word_suffix\"" },
  { MODEL ", \"continuing_subword_prefix\": \"##\"}}", ADAMIX_EUNSUPPORTED, "\"continuing_subword_prefix\"" },
  { "{\"model\": {\"type\": \"BPE\"}, \"pre_tokenizer\": {\"type\": \"Split\"}}", ADAMIX_EUNSUPPORTED, "is Split" },
  { "{\"model\": {\"merges\": []}, \"pre_tokenizer\": {\"type\": \"ByteLevel\"}}", ADAMIX_EFORMAT, "add_prefix_space" },
  { "{\"normalizer\": {\"type\": \"NFC\"}, " BYTE_LEVEL ", \"model\": {\"type\": \"BPE\"}}", ADAMIX_EUNSUPPORTED,
    "normalizer is NFC" },
};

Test (bpe, other_settings_are_refused_by_name)
{
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    adamix_tokenizer *tokenizer;
    scratch_file ("tokenizer.json", broken[i].json, strlen (broken[i].json));
    cr_assert_fails (adamix_tokenizer_open (&tokenizer, scratch_folder), broken[i].err, broken[i].part);
    cr_assert_null (tokenizer);
  }
}

Test (bpe, merges_may_be_strings)
{
  static const char json[] = MODEL ", \"vocab\": {\"a\": 0, \"aa\": 1, \"b\": 2}, \"merges\": [\"a a\"]}}";
  scratch_file ("tokenizer.json", json, strlen (json));
  check_ids ("aaab", 3, (const int32_t[]){ 1, 0, 2 });
}
