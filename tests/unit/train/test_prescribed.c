#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "train/train_private.h"

enum { STEPS = 2, BATCH = 3, EXAMPLES = 5, PASSES = 2 };

static const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                         .layers = 2,
                                         .hidden = 4,
                                         .bottleneck = 2,
                                         .experts = 3,
                                         .share = ADAMIX_SHARE_UP };
static char path[] = "prescribed-XXXXXX";
static adamix_prescribed_order order;
static adamix_prescribed_routes routes;

static void
tear_down (void)
{
  unlink (path);
  adamix_prescribed_order_destroy (&order);
  adamix_prescribed_routes_destroy (&routes);
}

TestSuite (prescribed, .fini = tear_down);

static void
store (const char *text)
{
  int descriptor = mkstemp (path);
  cr_assert (descriptor >= 0);
  cr_assert (eq (sz, (size_t) write (descriptor, text, strlen (text)), strlen (text)));
  close (descriptor);
}

static adamix_err
read_order (const char *text)
{
  store (text);
  return adamix_prescribed_order_read (&order, path, STEPS, BATCH, EXAMPLES);
}

static adamix_err
read_routes (const char *text)
{
  store (text);
  return adamix_prescribed_routes_read (&routes, path, STEPS, PASSES, &shape);
}

Test (prescribed, order_is_read_line_by_line)
{
  const int64_t record[] = { 4, 0, 2, 4 }, first[] = { 0, 3, 4 };
  cr_assert (eq (int, read_order ("[4, 0, 2]\n[4]\nonly what the run needs is read"), ADAMIX_OK), "%s",
             adamix_err_message ());
  cr_assert (eq (int, memcmp (order.record, record, sizeof record), 0));
  cr_assert (eq (int, memcmp (order.first, first, sizeof first), 0));
  cr_assert (eq (sz, strlen (order.hash.hex), 64));
}

Test (prescribed, routes_are_read_line_by_line)
{
  const int32_t expert[] = { 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 2, 0, 2, 0 };
  cr_assert (eq (int, read_routes ("[[[2,0],[0,0]],[[1,0],[1,0]]]\n[[[0,0],[1,0]],[[2,0],[2,0]]]"), ADAMIX_OK), "%s",
             adamix_err_message ());
  cr_assert (eq (i64, routes.size, PASSES * 2 * 2));
  cr_assert (eq (int, memcmp (routes.expert, expert, sizeof expert), 0));
}

/* A file, and what its message has to say: the line and the value. */
typedef struct bad_file {
  const char *text, *where, *what;
} bad_file;

static void
refuse (adamix_err (*read) (const char *text), const bad_file *bad, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    memcpy (strrchr (path, '-'), "-XXXXXX", strlen ("-XXXXXX"));
    cr_expect (ne (int, read (bad[i].text), ADAMIX_OK), "%s", bad[i].text);
    const char *message = adamix_err_message ();
    cr_expect (strstr (message, path) && strstr (message, bad[i].where) && strstr (message, bad[i].what), "%s: %s",
               bad[i].text, message);
    cr_expect (order.record == NULL && routes.expert == NULL, "nothing is left");
    unlink (path);
  }
}

Test (prescribed, orders_that_cannot_be_are_refused)
{
  const bad_file bad[] = {
    { "[1]\n[5]\n", ":2: ", "record 5" },
    { "[-1]\n[0]\n", ":1: ", "record -1" },
    { "[1]\n[2, 0, 2]\n", ":2: ", "2 stands" },
    { "[1]\n{\"a\": 1}\n", ":2: ", "not an array" },
    { "[1]\n3\n", ":2: ", "not an array" },
    { "[1]\n[]\n", ":2: ", "0 records" },
    { "[1, 2, 3, 4]\n[1]", ":1: ", "--batch" },
    { "[1]\n[\"1\"]\n", ":2: ", "whole number" },
    { "[1.5]\n[1]\n", ":1: ", "whole number" },
    { "[1]\n\n[1]\n", ":2: ", "JSON" },
    { "[1]\n[2\n", ":2: ", "JSON" },
    { "[1]\n", " 1 lines", "2 steps" },
    { "", " 0 lines", "2 steps" },
  };
  refuse (read_order, bad, sizeof bad / sizeof *bad);
}

#define GOOD "[[[2,0],[0,0]],[[1,0],[1,0]]]\n"

Test (prescribed, routes_that_cannot_be_are_refused)
{
  const bad_file bad[] = {
    { GOOD "[[[2,0],[0,0]],[[1,0],[3,0]]]", ":2: pass 1, layer 1: down: ", "0 to 2" },
    { GOOD "[[[2,0],[0,1]],[[1,0],[1,0]]]", ":2: pass 0, layer 1: up: ", "shared" },
    { GOOD "[[[-1,0],[0,0]],[[1,0],[1,0]]]", ":2: pass 0, layer 0: down: ", "expert -1" },
    { GOOD "[[[2,0],[0,0]]]", ":2: ", "2 passes" },
    { GOOD "[[[2,0],[0,0]],[[1,0]]]", ":2: pass 1: ", "2 layers" },
    { GOOD "[[[2,0],[0,0]],[[1,0],[1]]]", ":2: pass 1, layer 1: ", "pair" },
    { GOOD "[[[2,0],[0,0]],[[1,0],[1,true]]]", ":2: pass 1, layer 1: up: ", "whole number" },
    { GOOD "[[2,0],[1,0]]", ":2: pass 0, layer 0: ", "pair" },
    { GOOD "{}", ":2: ", "array" },
    { GOOD, " 1 lines", "2 steps" },
  };
  refuse (read_routes, bad, sizeof bad / sizeof *bad);
}
