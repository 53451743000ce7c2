#include <adamix/base.h>

#include <stdio.h>

int
main (void)
{
  printf ("adamix %s\n", adamix_version ());
  return 0;
}
