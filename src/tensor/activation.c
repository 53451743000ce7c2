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

bool
adamix_activation_find (const char *name, adamix_activation *out)
{
  for (int i = 0; i < ADAMIX_ACTIVATION_COUNT; i++)
    if (strcmp (names[i], name) == 0) {
      *out = (adamix_activation) i;
      return true;
    }
  return false;
}
