/* Command lines out of the record of a run: what is no default, quoted for a shell. */
#include "report/report_private.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void
check (adamix_err (*command) (const adamix_report_run *, char **), const char *record, const char *expected)
{
  char path[] = "runs/a b", *text;
  json_error_t where;
  adamix_report_run run = { .path = path, .record = json_loads (record, 0, &where) };
  cr_assert_not_null (run.record, "%s", where.text);
  cr_assert_eq (command (&run, &text), ADAMIX_OK);
  cr_assert_str_eq (text, expected);
  free (text);
  json_decref (run.record);
}

Test (command, of_a_training_has_all_that_is_no_default)
{
  check (
      adamix_report_command,
      "{\"ranks\": 2, \"config\": {\"model\": \"my models/it's\", \"task\": \"mrpc\", \"data\": null, \"method\": "
      "\"adamix\", \"experts\": 4, \"rank\": 8, \"share\": \"down\", \"consistency\": 1, \"weight-decay\": "
      "0.10000000000000001, \"lr\": "
      "0.00040000000000000002, \"hold-out\": true, \"reproducible\": false, \"recipe\": \"support\", \"force\": true}}",
      "mpirun -n 2 adamix train --model 'my models/it'\\''s' --task mrpc --rank 8 --share down --hold-out --lr 0.0004");
}

Test (command, of_one_module_has_no_experts)
{
  check (
      adamix_report_command,
      "{\"ranks\": 1, \"config\": {\"method\": \"adapter\", \"experts\": 1, \"share\": \"none\", \"experts-per-rank\": "
      "1}}",
      "adamix train --method adapter");
}

Test (command, of_an_evaluation_takes_the_file_that_the_results_are_of)
{
  check (adamix_report_command_of_modes,
         "{\"data\": {\"dev\": {}, \"test\": {}}, \"config\": {\"model\": \"M\", \"task\": \"banking77\", \"data\": "
         "\"D\"}}",
         "adamix eval --model M --adapter 'runs/a b' --data D --split test --inference all --output 'runs/a "
         "b/inference.json'");
  check (adamix_report_command_of_modes,
         "{\"data\": {\"dev\": {}}, \"config\": {\"model\": \"M\", \"task\": \"mrpc\", \"data\": \"D\", \"dev-file\": "
         "\"F\"}}",
         "adamix eval --model M --adapter 'runs/a b' --file F --text-column '#1 String' --text-pair-column '#2 String' "
         "--label-column Quality --inference all --output 'runs/a b/inference.json'");
  check (adamix_report_command_of_modes,
         "{\"data\": {\"dev\": {}}, \"config\": {\"model\": \"M\", \"dev-file\": \"F\", \"text-column\": \"query\", "
         "\"label-column\": \"label\"}}",
         "adamix eval --model M --adapter 'runs/a b' --file F --text-column query --inference all --output 'runs/a "
         "b/inference.json'");
}
