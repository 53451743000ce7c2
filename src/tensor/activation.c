#include <string.h>

#include <adamix/tensor.h>

static const char *const names[ADAMIX_ACTIVATION_COUNT] = {
#define ACTIVATION_TEXT(name, text) [ADAMIX_ACTIVATION_##name] = text,
  ADAMIX_ACTIVATIONS (ACTIVATION_TEXT)
#undef ACTIVATION_TEXT
};

const char *
adamix_activation_name (adamix_activation activation)
{
  return names[activation];
}

/* Other names that configurations use.  gelu_fast and gelu_accurate are the tanh form with its factor put elsewhere, and
 * rounded by less than fp32 shows. */
static const struct alias {
  const char *name;
  adamix_activation activation;
} aliases[] = {
  { "gelu_python", ADAMIX_ACTIVATION_GELU },          { "gelu_fast", ADAMIX_ACTIVATION_GELU_NEW },
  { "gelu_accurate", ADAMIX_ACTIVATION_GELU_NEW },    { "gelu_pytorch_tanh", ADAMIX_ACTIVATION_GELU_NEW },
  { "gelu_python_tanh", ADAMIX_ACTIVATION_GELU_NEW }, { "swish", ADAMIX_ACTIVATION_SILU },
};

bool
adamix_activation_find (const char *name, adamix_activation *out)
{
  for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
    if (strcmp (aliases[i].name, name) == 0) {
      *out = aliases[i].activation;
      return true;
    }
  for (int i = 0; i < ADAMIX_ACTIVATION_COUNT; i++)
    if (strcmp (names[i], name) == 0) {
      *out = (adamix_activation) i;
      return true;
    }
  return false;
}
