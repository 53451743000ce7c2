/* adamix/text.h - from UTF-8 text to token ids, exactly as Hugging Face's tokenizers library does it.
 *
 * A tokenizer is immutable after creation and may be used by many threads.  All functions are Local.                    */
#ifndef ADAMIX_TEXT_H
#define ADAMIX_TEXT_H

#include <adamix/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct adamix_tokenizer adamix_tokenizer;

/* From a model folder, the first of these that is there:
 *   tokenizer.json          WordPiece with BERT's normalizer and pre-tokenizer, or byte-level BPE;
 *   vocab.txt               WordPiece, with do_lower_case, strip_accents, tokenize_chinese_chars and the special tokens of
 *                           tokenizer_config.json (transformers' defaults where it is absent: lower case);
 *   vocab.json, merges.txt  (GPT-2's release: encoder.json, vocab.bpe) byte-level BPE, with add_prefix_space and the special
 *                           tokens of tokenizer_config.json, special_tokens_map.json, added_tokens.json.  RoBERTa's or
 *                           GPT-2's special tokens: as "model_type" of config.json says, else RoBERTa's if "<s>" is known.
 * Errors: EUNSUPPORTED, by name, for a tokenizer of another kind (Unigram, WordLevel, ...) or a setting that would change
 * ids (dropout, another regular expression, ...); EIO; EFORMAT with file and place; ENOMEM. */
adamix_err adamix_tokenizer_open (adamix_tokenizer **out, const char *model_dir);
void adamix_tokenizer_destroy (adamix_tokenizer *tokenizer);
int64_t adamix_tokenizer_vocabulary (const adamix_tokenizer *tokenizer); /* number of ids: largest id + 1 */

/* Ids of one text or pair, special tokens included. */
typedef struct adamix_encoding {
  int32_t *id, *type; /* [count]; owned, grown as needed; reuse one encoding for many texts */
  int64_t count, capacity;
  int64_t full_count; /* length before truncation, special tokens included */
} adamix_encoding;

/* Texts with the special tokens of the model:
 *   BERT     [CLS] a [SEP], [CLS] a [SEP] b [SEP]; type 1 for b and its [SEP]
 *   RoBERTa  <s> a </s>, <s> a </s></s> b </s>; type 0
 *   GPT-2    a, a b; type 1 for b
 * More than `max_length` tokens are cut, longest first as transformers does (max_length 0: never).  `b` NULL: no pair.
 * Texts are UTF-8 of the given bytes, any code point may be in them.
 * Errors: EDATA if a text is not UTF-8 or max_length has no room for the special tokens, ENOMEM. */
adamix_err adamix_tokenizer_encode (const adamix_tokenizer *tokenizer, const char *a, size_t a_bytes, const char *b,
                                    size_t b_bytes, int64_t max_length, adamix_encoding *out);
void adamix_encoding_destroy (adamix_encoding *encoding);

/* Is it well-formed UTF-8 (no surrogates, no overlong forms)?  Offset of the first bad byte, or -1. */
int64_t adamix_utf8_check (const char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
