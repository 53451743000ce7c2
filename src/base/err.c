#include <adamix/base.h>

#include <string.h>

#define MESSAGE_SIZE 2048

static _Thread_local char kept[MESSAGE_SIZE];

static const struct {
  const char *text;
  int exit_status;
} errors[] = { { "success", 0 },
#define ERROR_ROW(name, status, text) { text, status },
               ADAMIX_ERRORS (ERROR_ROW)
#undef ERROR_ROW
};

/* Arguments may be views of the kept message, so the new one is put together beside it. */
static void
keep (const char *prefix, const char *message)
{
  char joined[MESSAGE_SIZE];
  int length = snprintf (joined, sizeof joined, "%s%s", prefix, message);
  if (length >= (int) sizeof joined) memcpy (joined + sizeof joined - sizeof "...", "...", sizeof "...");
  memcpy (kept, joined, sizeof kept);
}

adamix_err
adamix_err_set (adamix_err code, const char *format, ...)
{
  char message[MESSAGE_SIZE + 1];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (message, sizeof message, format, arguments);
  va_end (arguments);
  keep ("", message);
  return code;
}

adamix_err
adamix_err_prefix (adamix_err code, const char *format, ...)
{
  char prefix[MESSAGE_SIZE - 2];
  va_list arguments;
  va_start (arguments, format);
  int length = vsnprintf (prefix, sizeof prefix - 2, format, arguments);
  va_end (arguments);
  if (length >= 0) strcat (prefix, ": ");
  keep (prefix, kept);
  return code;
}

const char *
adamix_err_message (void)
{
  return kept;
}

static int
row_of (adamix_err code)
{
  int rows = (int) (sizeof errors / sizeof *errors);
  return (int) code >= 0 && (int) code < rows ? (int) code : ADAMIX_EIO;
}

const char *
adamix_err_text (adamix_err code)
{
  return errors[row_of (code)].text;
}

int
adamix_err_exit_status (adamix_err code)
{
  return errors[row_of (code)].exit_status;
}
