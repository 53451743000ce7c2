#include <adamix/base.h>

#include <criterion/criterion.h>
#include <string.h>

Test (err, message_is_kept_and_prefixed)
{
  cr_assert_str_eq (adamix_err_message (), "");
  cr_assert_eq (adamix_err_set (ADAMIX_EDATA, "line %d is bad", 7), ADAMIX_EDATA);
  cr_assert_str_eq (adamix_err_message (), "line 7 is bad");
  cr_assert_eq (adamix_err_prefix (ADAMIX_EDATA, "%s.tsv", "train"), ADAMIX_EDATA);
  cr_assert_str_eq (adamix_err_message (), "train.tsv: line 7 is bad");
}

Test (err, message_may_be_made_of_the_kept_one)
{
  adamix_err_set (ADAMIX_EIO, "inner");
  adamix_err_set (ADAMIX_EIO, "outer of %s", adamix_err_message ());
  cr_assert_str_eq (adamix_err_message (), "outer of inner");
  adamix_err_prefix (ADAMIX_EIO, "again %s", adamix_err_message ());
  cr_assert_str_eq (adamix_err_message (), "again outer of inner: outer of inner");
}

Test (err, a_long_message_is_cut_and_says_so)
{
  char text[10000];
  memset (text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  adamix_err_set (ADAMIX_EIO, "%s", text);
  size_t length = strlen (adamix_err_message ());
  cr_assert_lt (length, sizeof text - 1);
  cr_assert_str_eq (adamix_err_message () + length - 4, "x...");
  adamix_err_prefix (ADAMIX_EIO, "%s", text);
  cr_assert_eq (strlen (adamix_err_message ()), length);
}

Test (err, exit_status_and_text)
{
  cr_assert_eq (adamix_err_exit_status (ADAMIX_OK), 0);
  cr_assert_eq (adamix_err_exit_status (ADAMIX_EUSAGE), 2);
  cr_assert_eq (adamix_err_exit_status (ADAMIX_EMPI), 1);
  cr_assert_eq (adamix_err_exit_status (ADAMIX_ESTOPPED), 75);
  cr_assert_eq (adamix_err_exit_status ((adamix_err) 1000), 1, "a code nobody knows must not look like success");
  cr_assert_str_eq (adamix_err_text (ADAMIX_ENOMEM), "out of memory");
  cr_assert_str_eq (adamix_err_text (ADAMIX_ESTOPPED), "stopped at a checkpoint before the end");
}

static adamix_err
tries (adamix_err first, int *reached)
{
  adamix_err err = ADAMIX_OK;
  ADAMIX_TRY (first);
  *reached += 1;
done:
  return err;
}

Test (err, try_leaves_at_the_first_failure)
{
  int reached = 0;
  cr_assert_eq (tries (ADAMIX_EDATA, &reached), ADAMIX_EDATA);
  cr_assert_eq (reached, 0);
  cr_assert_eq (tries (ADAMIX_OK, &reached), ADAMIX_OK);
  cr_assert_eq (reached, 1);
}
