#include "base/fault.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What is hashed between two looks at whether it is still wanted. */
#define PIECE ((size_t) 1 << 20)

static void
write_hex (adamix_sha256 *out, const unsigned char *digest, unsigned int length)
{
  static const char digit[] = "0123456789abcdef";
  for (unsigned int i = 0; i < length; i++) {
    out->hex[2 * i] = digit[digest[i] >> 4];
    out->hex[2 * i + 1] = digit[digest[i] & 15];
  }
  out->hex[2 * length] = '\0';
}

static adamix_err
refused (void)
{
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "libcrypto refused SHA-256; check its configuration (FIPS providers)");
}

adamix_err
adamix_sha256_memory (adamix_sha256 *out, const void *data, size_t size)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (ADAMIX_FAULT (hash) || !EVP_Digest (data, size, digest, &length, EVP_sha256 (), NULL)) return refused ();
  write_hex (out, digest, length);
  return ADAMIX_OK;
}

adamix_err
adamix_sha256_file (adamix_sha256 *out, const char *path)
{
  adamix_file_map map;
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, path));
  adamix_err err = adamix_sha256_memory (out, map.data, map.size);
  adamix_file_map_close (&map);
  return err;
}

/* ---- behind the caller's back -------------------------------------------------------------------------------------- */

struct adamix_hashing {
  adamix_file_map *map; /* [count]; what they map is borrowed */
  adamix_sha256 *hash;  /* [count] */
  int64_t count;
  bool running; /* `thread` is to be joined */
  pthread_t thread;
  atomic_bool unwanted;
  bool failed; /* written by whoever hashes, read behind the join */
};

static bool
hash_map (adamix_hashing *self, const adamix_file_map *map, EVP_MD_CTX *context, adamix_sha256 *out)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (ADAMIX_FAULT (hash) || !EVP_DigestInit_ex (context, EVP_sha256 (), NULL)) return false;
  for (size_t done = 0, piece; done < map->size; done += piece) {
    piece = map->size - done < PIECE ? map->size - done : PIECE;
    if (atomic_load (&self->unwanted) || !EVP_DigestUpdate (context, map->data + done, piece)) return false;
    adamix_file_map_release (map, map->data + done, piece);
  }
  if (!EVP_DigestFinal_ex (context, digest, &length)) return false;
  write_hex (out, digest, length);
  return true;
}

static void *
hash_all (void *argument)
{
  adamix_hashing *self = argument;
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  self->failed = !context;
  for (int64_t i = 0; i < self->count && !self->failed; i++)
    self->failed = !hash_map (self, &self->map[i], context, &self->hash[i]);
  EVP_MD_CTX_free (context);
  return NULL;
}

/* Signals are for the threads that know how to take them. */
static bool
start_thread (adamix_hashing *self)
{
  sigset_t all, before;
  sigfillset (&all);
  if (pthread_sigmask (SIG_SETMASK, &all, &before) != 0) return false;
  const int status = ADAMIX_FAULT (thread) ? EAGAIN : pthread_create (&self->thread, NULL, hash_all, self);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  return status == 0;
}

adamix_err
adamix_hashing_begin (adamix_hashing **out, const adamix_file_map *map, int64_t count)
{
  adamix_err err = ADAMIX_OK;
  adamix_hashing *self = NULL;
  *out = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (self, 1));
  self->count = count;
  ADAMIX_TRY (ADAMIX_ALLOC (self->map, count));
  ADAMIX_TRY (ADAMIX_ALLOC (self->hash, count));
  memcpy (self->map, map, (size_t) count * sizeof *map);
  self->running = start_thread (self);
  if (!self->running) hash_all (self);
  *out = self;
  self = NULL;
done:
  adamix_hashing_destroy (self);
  return err;
}

static void
join (adamix_hashing *self)
{
  if (self->running) pthread_join (self->thread, NULL);
  self->running = false;
}

adamix_err
adamix_hashing_end (adamix_hashing *self, const adamix_sha256 **hash)
{
  join (self);
  *hash = self->hash;
  return self->failed ? refused () : ADAMIX_OK;
}

void
adamix_hashing_destroy (adamix_hashing *self)
{
  if (!self) return;
  atomic_store (&self->unwanted, true);
  join (self);
  free (self->hash);
  free (self->map);
  free (self);
}
