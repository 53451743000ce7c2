#include "base/fault.h"

#include <openssl/evp.h>

adamix_err
adamix_sha256_memory (adamix_sha256 *out, const void *data, size_t size)
{
  static const char digit[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (ADAMIX_FAULT (hash) || !EVP_Digest (data, size, digest, &length, EVP_sha256 (), NULL))
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "libcrypto refused SHA-256; check its configuration (FIPS providers)");
  for (unsigned int i = 0; i < length; i++) {
    out->hex[2 * i] = digit[digest[i] >> 4];
    out->hex[2 * i + 1] = digit[digest[i] & 15];
  }
  out->hex[2 * length] = '\0';
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
