#include "tensor/gemm_backend.h"

#include <omp.h>

adamix_err
adamix_compute_select (adamix_compute *out, const char *gemm, const char *isa, int threads)
{
  adamix_compute compute = { .threads = threads > 0 ? threads : omp_get_max_threads () };
  ADAMIX_RETURN_IF (adamix_gemm_select (&compute.gemm, gemm));
  ADAMIX_RETURN_IF (adamix_kernels_select (&compute.kernels, isa));
  omp_set_num_threads (compute.threads);
  adamix_gemm_blas_one_thread ();
  *out = compute;
  return ADAMIX_OK;
}
