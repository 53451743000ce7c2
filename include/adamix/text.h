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

/* From a model folder: tokenizer.json if it is there, else vocab.txt with tokenizer_config.json's do_lower_case,
 * strip_accents, tokenize_chinese_chars (transformers' defaults where it is absent: lower case).  WordPiece today; a
 * tokenizer of another kind is refused by name (EUNSUPPORTED).  Errors: EIO, EFORMAT, ENOMEM. */
adamix_err adamix_tokenizer_open (adamix_tokenizer **out, const char *model_dir);
void adamix_tokenizer_destroy (adamix_tokenizer *tokenizer);
int64_t adamix_tokenizer_vocabulary (const adamix_tokenizer *tokenizer); /* number of ids: largest id + 1 */

/* Ids of one text or pair, special tokens included. */
typedef struct adamix_encoding {
  int32_t *id, *type; /* [count]; owned, grown as needed; reuse one encoding for many texts */
  int64_t count, capacity;
  int64_t full_count; /* length before truncation, special tokens included */
} adamix_encoding;

/* [CLS] a [SEP] or [CLS] a [SEP] b [SEP]; type 1 for b and its [SEP].  More than `max_length` tokens are cut, longest
 * first as transformers does (max_length 0: never).  `b` NULL: no pair.  Texts are UTF-8 of the given bytes.
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
