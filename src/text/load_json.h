/* src/text/load_json.h - the parts of reading a tokenizer.json.  All Local; errors name the file. */
#ifndef ADAMIX_TEXT_LOAD_JSON_H
#define ADAMIX_TEXT_LOAD_JSON_H

#include "text/tokenizer.h"

/* EFORMAT with what is wrong. */
adamix_err adamix_json_malformed (const adamix_json_loader *l, const char *what);
/* A section of the file and its "type"; *type NULL where the section is absent or null.  Errors: EFORMAT. */
adamix_err adamix_json_section (const adamix_json_loader *l, const char *name, const json_t **section,
                                const char **type);
/* EUNSUPPORTED unless the section has this type. */
adamix_err adamix_json_require (const adamix_json_loader *l, const char *name, const char *wanted);
/* The vocabulary of the model. */
adamix_err adamix_json_load_vocabulary (const adamix_json_loader *l);

/* Model, normalizer and pre-tokenizer of the two kinds. */
adamix_err adamix_json_load_wordpiece (const adamix_json_loader *l);
adamix_err adamix_json_load_bpe (const adamix_json_loader *l);
/* The post-processor. */
adamix_err adamix_json_load_template (const adamix_json_loader *l);

#endif
