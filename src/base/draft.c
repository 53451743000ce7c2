#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

adamix_err
adamix_draft_begin (adamix_draft *out)
{
  *out = (adamix_draft){ 0 };
  out->stream = ADAMIX_FAULT (stream_open) ? NULL : open_memstream (&out->data, &out->size);
  return out->stream ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for a text: %s", strerror (errno));
}

adamix_err
adamix_draft_end (adamix_draft *draft)
{
  if (!draft->stream) return ADAMIX_OK;
  const bool whole = !ferror (draft->stream);
  const bool closed = fclose (draft->stream) == 0;
  draft->stream = NULL;
  return whole && closed ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for a text");
}

adamix_err
adamix_draft_store (adamix_draft *draft, const char *folder, const char *name)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_draft_end (draft));
  ADAMIX_TRY (adamix_path_join (&path, folder, name));
  ADAMIX_TRY (adamix_file_write (path, draft->data, draft->size));
done:
  free (path);
  adamix_draft_destroy (draft);
  return err;
}

void
adamix_draft_destroy (adamix_draft *draft)
{
  if (draft->stream) fclose (draft->stream);
  free (draft->data);
  *draft = (adamix_draft){ 0 };
}
