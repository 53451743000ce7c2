/* The post-processor of a tokenizer.json: where special tokens stand. */
#include "text/load_json.h"

#include <string.h>

/* A post-processor that is read, and what it gives. */
typedef struct processor {
  const adamix_json_loader *l;
  const json_t *section;
  int templates; /* how many set the template so far */
} processor;

/* {"ids": [...]} of a special token of the template. */
static adamix_err
load_special (const processor *p, const char *name, int32_t type, adamix_template *out)
{
  const json_t *tokens = json_object_get (p->section, "special_tokens"), *id;
  const json_t *ids = json_object_get (json_object_get (tokens, name), "ids");
  size_t i;
  if (json_array_size (ids) == 0)
    return adamix_json_malformed (p->l, "a special token of the post-processor has no \"ids\"");
  json_array_foreach (ids, i, id)
  {
    if (!json_is_integer (id) || json_integer_value (id) < 0 || json_integer_value (id) >= p->l->out->ids)
      return adamix_json_malformed (p->l, "a special token of the post-processor has an id that is not in the "
                                          "vocabulary");
    adamix_slot slot = { ADAMIX_SLOT_SPECIAL, (int32_t) json_integer_value (id), type };
    ADAMIX_RETURN_IF (adamix_template_add (out, slot));
  }
  return ADAMIX_OK;
}

static adamix_err
load_pattern (const processor *p, const char *which, adamix_template *out)
{
  const json_t *list = json_object_get (p->section, which), *part;
  const int pair = strcmp (which, "pair") == 0;
  int sequences[2] = { 0 }; /* how often A and B stand in it */
  size_t i;
  if (!json_is_array (list)) return adamix_json_malformed (p->l, "a template of the post-processor is not a list");
  out->count = 0;
  json_array_foreach (list, i, part)
  {
    const json_t *special = json_object_get (part, "SpecialToken"), *sequence = json_object_get (part, "Sequence");
    const json_t *given = special ? special : sequence;
    const char *id = NULL;
    int64_t type = 0;
    if (!given) return adamix_json_malformed (p->l, "a template has a part that is neither a token nor a sequence");
    ADAMIX_RETURN_IF (adamix_json_string (given, p->l->path, "id", true, &id));
    ADAMIX_RETURN_IF (adamix_json_integer (given, p->l->path, "type_id", true, 0, INT32_MAX, &type));
    const bool b = strcmp (id, "B") == 0;
    adamix_slot slot = { b ? ADAMIX_SLOT_B : ADAMIX_SLOT_A, 0, (int32_t) type };
    ADAMIX_RETURN_IF (special ? load_special (p, id, (int32_t) type, out) : adamix_template_add (out, slot));
    if (!special) sequences[b]++;
  }
  if (sequences[0] == 1 && sequences[1] == pair) return ADAMIX_OK;
  return adamix_err_set (
      ADAMIX_EUNSUPPORTED,
      "%s: the post_processor's template \"%s\" has sequence A %d and B %d times; only %s is supported", p->l->path,
      which, sequences[0], sequences[1], pair ? "each of them once" : "A once");
}

static adamix_err
load_template_processing (processor *p)
{
  p->templates++;
  ADAMIX_RETURN_IF (load_pattern (p, "single", &p->l->out->pattern[0]));
  return load_pattern (p, "pair", &p->l->out->pattern[1]);
}

/* "sep": ["[SEP]", 102] and the like, for a fixed template. */
static adamix_err
load_fixed (processor *p, void (*fill) (adamix_template pattern[2], int32_t cls, int32_t sep))
{
  static const char *const name[] = { "cls", "sep" };
  int32_t id[2];
  for (int i = 0; i < 2; i++) {
    const json_t *value = json_array_get (json_object_get (p->section, name[i]), 1);
    if (!json_is_integer (value) || json_integer_value (value) < 0 || json_integer_value (value) >= p->l->out->ids)
      return adamix_json_malformed (p->l, "\"cls\" or \"sep\" of the post-processor is not a token of the vocabulary");
    id[i] = (int32_t) json_integer_value (value);
  }
  p->templates++;
  fill (p->l->out->pattern, id[0], id[1]);
  return ADAMIX_OK;
}

static adamix_err
load_bert_processing (processor *p)
{
  return load_fixed (p, adamix_template_bert);
}

static adamix_err
load_roberta_processing (processor *p)
{
  return load_fixed (p, adamix_template_roberta);
}

/* It moves offsets only, which nobody asks for here. */
static adamix_err
load_byte_level (processor *p)
{
  (void) p;
  return ADAMIX_OK;
}

static adamix_err load_sequence (processor *p);

static const struct {
  const char *type;
  adamix_err (*load) (processor *p);
} kinds[] = { { "TemplateProcessing", load_template_processing },
              { "BertProcessing", load_bert_processing },
              { "RobertaProcessing", load_roberta_processing },
              { "ByteLevel", load_byte_level },
              { "Sequence", load_sequence } };
#define KINDS (sizeof kinds / sizeof kinds[0])

static adamix_err
load_processor (processor *p)
{
  const char *type = NULL;
  ADAMIX_RETURN_IF (adamix_json_string (p->section, p->l->path, "type", true, &type));
  for (size_t i = 0; i < KINDS; i++)
    if (strcmp (type, kinds[i].type) == 0) return kinds[i].load (p);
  return adamix_err_set (ADAMIX_EUNSUPPORTED,
                         "%s: the tokenizer's post_processor is %s; only TemplateProcessing, BertProcessing, "
                         "RobertaProcessing, ByteLevel and a Sequence of them are supported",
                         p->l->path, type);
}

static adamix_err
load_sequence (processor *p)
{
  const json_t *list = json_object_get (p->section, "processors"), *part;
  size_t i;
  if (!json_is_array (list)) return adamix_json_malformed (p->l, "a Sequence has no list \"processors\"");
  json_array_foreach (list, i, part)
  {
    p->section = part;
    if (!json_is_object (part)) return adamix_json_malformed (p->l, "a member of a Sequence is not an object");
    ADAMIX_RETURN_IF (load_processor (p));
  }
  if (p->templates <= 1) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUNSUPPORTED,
                         "%s: more than one part of the post_processor adds special tokens; only one is supported",
                         p->l->path);
}

adamix_err
adamix_json_load_template (const adamix_json_loader *l)
{
  const char *type;
  processor p = { .l = l };
  ADAMIX_RETURN_IF (adamix_json_section (l, "post_processor", &p.section, &type));
  adamix_template_plain (l->out->pattern, -1, -1);
  return p.section && !json_is_null (p.section) ? load_processor (&p) : ADAMIX_OK;
}
