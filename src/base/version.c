#include <adamix/base.h>

#include "base/revision.h"
#include "config.h"

const char *
adamix_version (void)
{
  return PACKAGE_VERSION;
}

const char *
adamix_revision (void)
{
  return ADAMIX_REVISION;
}
