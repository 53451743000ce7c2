#include <adamix/format.h>

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_TENSORBOARD

#include "format/events.pb-c.h"

#include <isa-l/crc.h>

struct adamix_events {
  char *path;
  FILE *file;
};

/* A CRC-32C that may lie beside what it is taken of: rotated and moved, as TFRecord files have it. */
static uint32_t
masked_crc (const void *data, size_t bytes)
{
  const uint32_t crc = ~crc32_iscsi ((unsigned char *) data, (int) bytes, ~0u), constant = 0xa282ead8u;
  return (crc >> 15 | crc << 17) + constant;
}

static bool
put (FILE *file, const void *data, size_t bytes)
{
  return !ADAMIX_FAULT (stream_write) && fwrite (data, 1, bytes, file) == bytes;
}

/* Its length, the length's check, the event, its check; all little-endian, as are the machines that this runs on. */
static adamix_err
write_event (adamix_events *events, const Tb__Event *event)
{
  uint8_t *data = NULL;
  const uint64_t bytes = tb__event__get_packed_size (event);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (data, (int64_t) bytes));
  tb__event__pack (event, data);
  const uint32_t length_check = masked_crc (&bytes, sizeof bytes), check = masked_crc (data, bytes);
  FILE *file = events->file;
  const bool written = put (file, &bytes, sizeof bytes) && put (file, &length_check, sizeof length_check) &&
                       put (file, data, bytes) && put (file, &check, sizeof check) && fflush (file) == 0;
  free (data);
  return written ? ADAMIX_OK : adamix_err_set (ADAMIX_EIO, "cannot write %s: %s", events->path, strerror (errno));
}

adamix_err
adamix_events_open (adamix_events **out, const char *folder)
{
  adamix_err err = ADAMIX_OK;
  adamix_events *events = NULL;
  Tb__Event first = TB__EVENT__INIT;
  first.file_version = (char *) "brain.Event:2";
  ADAMIX_TRY (ADAMIX_ALLOC (events, 1));
  ADAMIX_TRY (adamix_directory_make (folder));
  ADAMIX_TRY (adamix_path_join (&events->path, folder, "events.out.tfevents.0.adamix"));
  events->file = ADAMIX_FAULT (file_create) ? NULL : fopen (events->path, "wb");
  if (!events->file) ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot write %s: %s", events->path, strerror (errno)));
  ADAMIX_TRY (write_event (events, &first));
  *out = events;
  events = NULL;
done:
  adamix_events_close (events);
  return err;
}

adamix_err
adamix_events_write (adamix_events *events, int64_t step, double wall_time, const adamix_scalar *scalar, int64_t count)
{
  adamix_err err = ADAMIX_OK;
  Tb__Scalar *value = NULL, **list = NULL;
  Tb__Summary summary = TB__SUMMARY__INIT;
  Tb__Event event = TB__EVENT__INIT;
  ADAMIX_TRY (ADAMIX_ALLOC (value, count));
  ADAMIX_TRY (ADAMIX_ALLOC (list, count));
  for (int64_t i = 0; i < count; i++) {
    tb__scalar__init (list[i] = &value[i]);
    value[i].tag = (char *) scalar[i].tag;
    value[i].has_simple_value = true;
    value[i].simple_value = (float) scalar[i].value;
  }
  summary.n_value = (size_t) count;
  summary.value = list;
  event.has_wall_time = event.has_step = true;
  event.wall_time = wall_time;
  event.step = step;
  event.summary = &summary;
  ADAMIX_TRY (write_event (events, &event));
done:
  free (list);
  free (value);
  return err;
}

void
adamix_events_close (adamix_events *events)
{
  if (!events) return;
  if (events->file) fclose (events->file);
  free (events->path);
  free (events);
}

bool
adamix_events_are_there (void)
{
  return true;
}

#else

adamix_err
adamix_events_open (adamix_events **out, const char *folder)
{
  (void) folder;
  *out = NULL;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "this build writes no TensorBoard files: it lacks protobuf-c or ISA-L");
}

adamix_err
adamix_events_write (adamix_events *events, int64_t step, double wall_time, const adamix_scalar *scalar, int64_t count)
{
  (void) events;
  (void) step;
  (void) wall_time;
  (void) scalar;
  (void) count;
  return ADAMIX_OK;
}

void
adamix_events_close (adamix_events *events)
{
  (void) events;
}

bool
adamix_events_are_there (void)
{
  return false;
}

#endif
